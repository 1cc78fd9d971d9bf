"""From a build's traces to what is published: which rows, in which shards, and the files that describe them."""
