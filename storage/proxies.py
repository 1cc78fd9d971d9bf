"""The proxy that the environment names, as on most companies' machines: it is for the world, and not for what we started here."""

from __future__ import annotations

import os
from urllib.request import getproxies_environment


def spare(place: str) -> None:
    """Have clients of this process, and of those that it starts, ask `place`, as HOST:PORT, without a proxy.

    Prefect's clients take no other word for it. What else is on that host is asked as before.
    """
    named = getproxies_environment()
    spared = named.pop("no", "")
    if named and spared != "*":
        # Where both are there, all clients read the name in lower case.
        os.environ["no_proxy"] = f"{spared},{place}" if spared else place


def by_socks() -> bool:
    """Return whether one that is named is asked by SOCKS: without a package for that, httpx makes no client at all."""
    return any(getproxies_environment().get(scheme, "").startswith("socks") for scheme in ("http", "https", "all"))
