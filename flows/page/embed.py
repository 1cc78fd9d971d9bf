"""Embed: how data and scripts stand in a page so that no text of foreign origin can become markup or code.

What is embedded as JSON has no character that HTML or JavaScript could take for an end or a beginning; what is embedded packed is
base64, which has none. The page's own scripts and styles run by their hashes alone, nothing may be fetched, and strings are never
made into markup: the browser refuses it (`trusted-types`).
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import orjson

LEVEL = 6
"""Of deflate."""
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def as_json(value: Any) -> str:
    """Return JSON that may stand in a `<script>` element."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode().translate(_UNSAFE)


def packed(data: bytes) -> str:
    """Return data deflated (without a header), in base64: what the page's `unpacked` reads."""
    packer = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(data) + packer.flush()).decode()


def policy(*, scripts: list[str], styles: list[str]) -> str:
    """Return a Content-Security-Policy that lets these texts alone run, and nothing be fetched or sent."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_digest, scripts))}",
            f"style-src {' '.join(map(_digest, styles))}",
            "img-src data:",  # an empty icon, so that no browser asks a server for one
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
