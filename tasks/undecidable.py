"""Undecidable: prompts of which no response could be accepted, since they lack what the verifiers decide by.

An `exact_match` without a reference leaves every response undecided. Where no verifier that counts could decide, responses would
be paid for and thrown away, so none is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.workspace import Workspace
from tasks.verify import Named, Rule
from verifiers.protocol import Brought, goes_by_prompt, ways_of_prompt

_ARTICLE = {"reference": "a reference", "tests": "tests"}


def query(verifiers: Sequence[Named], rule: Rule) -> str | None:
    """Return SQL for `ord` and `reason` of the prompts of which no verifier that counts could decide; None: there are none."""
    counted = [named for named in verifiers if named.fingerprint in rule.counted]
    if not counted or not all(goes_by_prompt(named.verifier) for named in counted):
        return None
    lacking = " AND ".join(_lacks_all(named) for named in counted)
    names = ", ".join(dict.fromkeys(named.name for named in counted))
    whens = " ".join(
        f"WHEN {_lacks(frozenset({name}))} THEN 'undecided: {names}: the prompt has no {name}'"
        for name in sorted(needed(verifiers, rule))
    )
    return f"SELECT ord, CASE {whens} END AS reason FROM prompts WHERE {lacking}"


def undecided(workspace: Workspace, verifiers: Sequence[Named], rule: Rule) -> tuple[int, str, str]:
    """Return of how many prompts that aren't barred no verifier that goes by references or tests can decide, though others may.

    With it come the names of the former and of the latter. Where each prompt has tests or a reference, there may be none.
    """
    counted = [named for named in verifiers if named.fingerprint in rule.counted]
    by_prompt = [named for named in counted if goes_by_prompt(named.verifier)]
    others = [named for named in counted if named not in by_prompt]
    if not by_prompt or not others:
        return 0, "", ""
    lacking = " AND ".join(map(_lacks_all, by_prompt))
    ((found,),) = workspace.rows(f"SELECT count(*) FROM prompts ANTI JOIN barred USING (ord) WHERE {lacking}")
    first, second = (", ".join(dict.fromkeys(named.name for named in some)) for some in (by_prompt, others))
    return int(found), first, second


def said(needs: frozenset[str]) -> str:
    """Return what is needed, in words."""
    return " or ".join(_ARTICLE[name] for name in sorted(needs))


def needed(verifiers: Sequence[Named], rule: Rule) -> frozenset[str]:
    """Return what the verifiers that count need of a prompt."""
    counted = [named.verifier for named in verifiers if named.fingerprint in rule.counted]
    return frozenset[str]().union(*(way for made in counted if goes_by_prompt(made) for way in ways_of_prompt(made)))


def _lacks_all(named: Named) -> str:
    """Return SQL for whether a prompt has nothing that suffices for a verifier."""
    return " AND ".join(f"({_lacks(way)})" for way in sorted(ways_of_prompt(named.verifier), key=sorted))


def _lacks(needs: frozenset[Brought] | frozenset[str]) -> str:
    return " OR ".join(f"NOT coalesce(regexp_matches({name}, '\\S'), FALSE)" for name in sorted(needs))
