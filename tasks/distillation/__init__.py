"""The training of a student: its loss, the shards that it reads, its loop. It needs numpy and torch, and nothing of a build."""
