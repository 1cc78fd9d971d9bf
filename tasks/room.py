"""The room that distributions take in the lake, for who plans to ask for them."""

from __future__ import annotations

POSITION_BYTES = 15
"""Of a token, without its alternatives."""
ALTERNATIVE_BYTES = 6
"""Of one of them, where the server gives bytes and id; a third less where it gives one of the two."""


def token_bytes(alternatives: int) -> int:
    """Return about how many bytes one token's distribution takes in a part (`benchmarks/logprobs.py` measures them)."""
    return POSITION_BYTES + ALTERNATIVE_BYTES * alternatives if alternatives else 0
