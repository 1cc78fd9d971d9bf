"""One file a provider, each imported only when a spec names it."""
