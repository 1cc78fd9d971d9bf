"""A build's report as a page in the lake, and under which address a browser finds it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from storage.lake import Lake

BASE = "STILLHOUSE_REPORTS_URL"
"""The environment variable that names where the lake's folder `reports` is served."""


def place(lake: Lake, dataset: str, build_id: str) -> Path:
    """Return the file that a build's page is written to."""
    return lake.root / "reports" / dataset / f"{build_id}.html"


def address(lake: Lake, dataset: str, build_id: str) -> str:
    """Return the page's address: below what STILLHOUSE_REPORTS_URL names, else the file's own."""
    base = os.environ.get(BASE)
    if base:
        return f"{base.rstrip('/')}/{quote(dataset)}/{quote(build_id)}.html"
    return place(lake, dataset, build_id).absolute().as_uri()
