"""What the host and the fork server say to each other in the same words."""

END = b"end"
"""Kill the sample, and have another process wait."""
INLINE = 1 << 16
"""Bytes of a text that comes with its descriptors; a longer one comes as a file."""
APART = ", apart"
"""Behind a verdict: it may be another one where the code changes what the tests have made and it has kept."""
