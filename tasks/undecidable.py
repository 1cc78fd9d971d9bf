"""Undecidable: prompts of which no response could be accepted, since they lack what the verifiers decide by.

An `exact_match` without a reference leaves every response undecided. Where no verifier that counts could decide, responses would
be paid for and thrown away, so none is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.workspace import Workspace
from tasks.verify import Named, Rule
from verifiers.protocol import needs_of_prompt

_ARTICLE = {"reference": "a reference", "tests": "tests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A verifier that can't decide of some prompts, where others can."""

    verifier: str
    """Its name in the spec."""
    lacking: str
    """What these prompts lack, in words."""
    prompts: int
    """How many."""


def query(verifiers: Sequence[Named], rule: Rule) -> str | None:
    """Return SQL for `ord` and `reason` of the prompts of which no verifier that counts could decide; None: there are none."""
    counted = [named for named in verifiers if named.fingerprint in rule.counted]
    needs = [needs_of_prompt(named.verifier) for named in counted]
    if not counted or not all(needs):
        return None
    lacking = " AND ".join(f"({_lacks(each)})" for each in needs)
    names = ", ".join(dict.fromkeys(named.name for named in counted))
    whens = " ".join(
        f"WHEN {_lacks(frozenset({name}))} THEN 'undecided: {names}: the prompt has no {name}'"
        for name in sorted(frozenset[str]().union(*needs))
    )
    return f"SELECT ord, CASE {whens} END AS reason FROM prompts WHERE {lacking}"


def undecided(workspace: Workspace, verifiers: Sequence[Named], rule: Rule) -> list[Undecided]:
    """Return which of the verifiers that count can't decide of some prompts that aren't barred, and of how many."""
    counted = [(named, needs_of_prompt(named.verifier)) for named in verifiers if named.fingerprint in rule.counted]
    some = [(named, needs) for named, needs in counted if needs]
    if not some:
        return []
    counts = ", ".join(f"count(*) FILTER ({_lacks(needs)})" for _, needs in some)
    (found,) = workspace.rows(f"SELECT {counts} FROM prompts ANTI JOIN barred USING (ord)")
    return [
        Undecided(verifier=named.name, lacking=said(needs), prompts=prompts)
        for (named, needs), prompts in zip(some, found, strict=True)
        if prompts
    ]


def said(needs: frozenset[str]) -> str:
    """Return what is needed, in words."""
    return " or ".join(_ARTICLE[name] for name in sorted(needs))


def needed(verifiers: Sequence[Named], rule: Rule) -> frozenset[str]:
    """Return what the verifiers that count need of a prompt."""
    return frozenset[str]().union(*(needs_of_prompt(named.verifier) for named in verifiers if named.fingerprint in rule.counted))


def _lacks(needs: frozenset[str]) -> str:
    return " OR ".join(f"NOT coalesce(regexp_matches({name}, '\\S'), FALSE)" for name in sorted(needs))
