"""Which samples say nearly the same: by their words, and by their meaning."""
