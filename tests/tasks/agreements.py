"""Short ways to make terms."""

from __future__ import annotations

from typing import Any

from tasks.rights.bound import Acknowledgement
from tasks.rights.terms import Agreement


def agreement(name: str = "acme", /, **given: Any) -> Agreement:
    """Return an entry of the table."""
    defaults = {"id": name, "name": f"{name.title()} Terms", "kind": "service", "training": "restricted", "clause": "No rivals."}
    return Agreement.model_validate(defaults | {"basis": "text"} | given)


def acknowledgement(**given: Any) -> Acknowledgement:
    """Return one entry of `licenses.acknowledge`."""
    said = {"who": "Ada", "why": "for research", "agreement": "letter of 1 May"}
    return Acknowledgement.model_validate(said | given)
