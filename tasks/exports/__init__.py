"""What surrounds an export's rows: shards, where they go, and the files that describe them."""
