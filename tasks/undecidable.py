"""Undecidable: prompts of which no response could be accepted, since they lack what the verifiers decide by.

An `exact_match` without a reference leaves every response undecided. Where no verifier that counts could decide, responses would
be paid for and thrown away, so none is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.workspace import Workspace
from tasks.verify import Named, Rule
from verifiers.protocol import needs_of_prompt

_ARTICLE = {"reference": "a reference", "tests": "tests"}


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


def undecided(workspace: Workspace, verifiers: Sequence[Named], rule: Rule) -> tuple[int, str, str]:
    """Return of how many prompts that aren't barred no verifier that goes by references or tests can decide, though others may.

    With it come the names of the former and of the latter. Where each prompt has tests or a reference, there may be none.
    """
    counted = [(named.name, needs_of_prompt(named.verifier)) for named in verifiers if named.fingerprint in rule.counted]
    by_prompt, others = [each for each in counted if each[1]], [each for each in counted if not each[1]]
    if not by_prompt or not others:
        return 0, "", ""
    lacking = " AND ".join(f"({_lacks(needs)})" for _, needs in by_prompt)
    ((found,),) = workspace.rows(f"SELECT count(*) FROM prompts ANTI JOIN barred USING (ord) WHERE {lacking}")
    first, second = (", ".join(dict.fromkeys(name for name, _ in some)) for some in (by_prompt, others))
    return int(found), first, second


def said(needs: frozenset[str]) -> str:
    """Return what is needed, in words."""
    return " or ".join(_ARTICLE[name] for name in sorted(needs))


def needed(verifiers: Sequence[Named], rule: Rule) -> frozenset[str]:
    """Return what the verifiers that count need of a prompt."""
    return frozenset[str]().union(*(needs_of_prompt(named.verifier) for named in verifiers if named.fingerprint in rule.counted))


def _lacks(needs: frozenset[str]) -> str:
    return " OR ".join(f"NOT coalesce(regexp_matches({name}, '\\S'), FALSE)" for name in sorted(needs))
