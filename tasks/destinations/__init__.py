"""Where exports go: one file a kind of place. Files are made here, and given away as each is whole."""
