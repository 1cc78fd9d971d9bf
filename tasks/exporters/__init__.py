"""The forms of training shards: one file a form, imported only when a spec names it."""
