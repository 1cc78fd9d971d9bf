"""Changes: which verdicts on stored samples are others than those that counted in a build before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from storage.identity import VOTE_INPUTS, check_inputs
from storage.lake import Lake, Manifest
from storage.parquet import PartWriter
from storage.rot import verify_build
from storage.rows import prompt_of
from storage.sql import literal, parquet_in
from storage.workspace import Workspace
from tasks.outcomes import ADDRESSED, listed
from tasks.verify import Named

WORDS = {True: "pass", False: "fail", None: "undecided"}
SHOWN = 20
"""Changed verdicts that are listed with their reasons."""
BEFORE = pa.schema([("prompt_id", pa.string()), ("inputs", pa.string())])
"""What each prompt of the build before brought to a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A verdict that is another one than before."""

    verifier: str
    """Its name in the spec."""
    prompt_id: str
    """The sample's prompt."""
    teacher: str
    """Who gave the sample."""
    strategy: str | None
    """By which strategy, where there are several."""
    sample_index: int
    """Which of the prompt's."""
    before: str
    """pass, fail or undecided."""
    after: str
    """Likewise."""
    reason_before: str
    """The verifier's."""
    reason: str
    """Likewise, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of one verifier's verdicts."""

    verifier: str
    """Its name in the spec."""
    verdicts: int
    """That there are now, of stored samples."""
    missing: int
    """Samples that it has not judged: it asks a teacher, as only a build may."""
    first: int
    """Samples that no verifier of this name had judged in the build before."""
    same: int
    """Decided as before."""
    changed: dict[str, int]
    """How many by "pass to fail", "fail to pass" and the like."""


def compare(
    workspace: Workspace,
    lake: Lake,
    before: Manifest | None,
    verifiers: Sequence[Named],
    arms: Sequence[tuple[str, str | None]],
) -> tuple[list[Judged], list[Change]]:
    """Compare each stored slot's verdicts with those that counted in a build, by the verifiers' names.

    `arms` are the names of who draws and by which strategy. `together` and `unwanted` must be there.
    """
    workspace.execute(
        f"""
        CREATE TABLE after AS
        SELECT ord, arm, sample_index, number, bool_and(passed) AS passed, any_value(reason) AS reason
        FROM verdicts JOIN {listed(verifiers)} USING (fingerprint) JOIN {ADDRESSED} AS slots USING (sample_id, inputs)
        GROUP BY ord, arm, sample_index, number
        """
    )
    _before(workspace, lake, before, verifiers)
    counted: list[Counter[tuple[str | None, str | None]]] = [Counter() for _ in verifiers]
    rows = workspace.rows(
        """
        SELECT number, was.number IS NOT NULL, was.passed, now.number IS NOT NULL, now.passed, count(*)
        FROM (SELECT ord, arm, sample_index FROM slots ANTI JOIN unwanted USING (ord, arm, sample_index) WHERE stored)
        CROSS JOIN numbers LEFT JOIN after AS now USING (ord, arm, sample_index, number)
        LEFT JOIN before AS was USING (ord, arm, sample_index, number)
        GROUP BY ALL
        """
    )
    for number, there, passed, here, now, many in rows:
        counted[number][WORDS[passed] if there else None, WORDS[now] if here else None] += many
    found = [_judged(named.name, counts) for named, counts in zip(verifiers, counted, strict=True)]
    return found, _changes(workspace, verifiers, arms)


def _before(workspace: Workspace, lake: Lake, build: Manifest | None, verifiers: Sequence[Named]) -> None:
    """Make `before`: the verdicts that counted in a build on these slots, numbered as the verifiers of their name are now."""
    numbers = ", ".join(f"({number})" for number in range(len(verifiers))) or "(-1)"
    workspace.execute(f"CREATE TABLE numbers AS FROM (VALUES {numbers}) AS numbers(number)")
    workspace.execute(
        "CREATE TABLE before (ord BIGINT, arm SMALLINT, sample_index INTEGER, number INTEGER, passed BOOLEAN, reason VARCHAR)"
    )
    judges = _numbered(build["verifiers"] if build else [], verifiers)
    if build is None or not judges:
        return
    read = ("outcomes", "prompts")
    verify_build(lake, build, read)
    outcomes, prompts = (parquet_in(lake.snapshot(table, build["dataset"], build["build_id"])) for table in read)
    path = workspace.folder / "before.parquet"
    with PartWriter(path, BEFORE) as writer:
        for batch in workspace.stream(f"FROM {prompts}"):
            for row in batch.to_pylist():
                writer.write({"prompt_id": row["prompt_id"], "inputs": check_inputs(prompt_of(row))})
    values = ", ".join(f"({number}, {literal(fingerprint)})" for number, fingerprint in judges)
    workspace.execute(
        f"""
        INSERT INTO before
        WITH known AS (
            SELECT sample_id, prompt_id, outcomes.teacher, inputs
            FROM {outcomes} AS outcomes JOIN read_parquet({literal(path)}) USING (prompt_id)
            WHERE sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw'
        ),
        voted AS (
            SELECT prompt_id, teacher, {VOTE_INPUTS} AS inputs FROM known GROUP BY prompt_id, teacher
        ),
        addressed AS (
            SELECT sample_id, prompt_id, inputs FROM known
            UNION ALL
            SELECT sample_id, prompt_id, voted.inputs FROM known JOIN voted USING (prompt_id, teacher)
        ),
        said AS (
            SELECT sample_id, prompt_id, number, bool_and(passed) AS passed, any_value(reason) AS reason
            FROM verdicts JOIN (VALUES {values}) AS judges(number, fingerprint) USING (fingerprint)
            JOIN addressed USING (sample_id, inputs) GROUP BY ALL
        )
        SELECT ord, arm, sample_index, number, passed, reason
        FROM said JOIN slots USING (sample_id) JOIN prompt_ids USING (ord)
        QUALIFY row_number() OVER (
            PARTITION BY ord, arm, sample_index, number
            ORDER BY said.prompt_id = prompt_ids.prompt_id DESC, said.prompt_id
        ) = 1
        """
    )


def _numbered(judges: Sequence[dict[str, str]], verifiers: Sequence[Named]) -> list[tuple[int, str]]:
    """Return the fingerprints of a build's verifiers with the number of the one that has their name and place in the spec now."""
    left = list(judges)
    found: list[tuple[int, str]] = []
    for number, named in enumerate(verifiers):
        judge = next((each for each in left if each["name"] == named.name), None)
        if judge is not None:
            left.remove(judge)
            found.append((number, judge["fingerprint"]))
    return found


def _judged(name: str, counts: Counter[tuple[str | None, str | None]]) -> Judged:
    there = {key: number for key, number in counts.items() if key[1] is not None}
    changed = {f"{was} to {now}": number for (was, now), number in sorted(there.items(), key=str) if was not in {None, now}}
    return Judged(
        verifier=name,
        verdicts=sum(there.values()),
        missing=counts.total() - sum(there.values()),
        first=sum(number for (was, _), number in there.items() if was is None),
        same=sum(number for (was, now), number in there.items() if was == now),
        changed=changed,
    )


def _changes(workspace: Workspace, verifiers: Sequence[Named], arms: Sequence[tuple[str, str | None]]) -> list[Change]:
    rows = workspace.rows(
        f"""
        SELECT number, prompt_id, arm, sample_index, was.passed, now.passed, was.reason, now.reason
        FROM after AS now JOIN before AS was USING (ord, arm, sample_index, number) JOIN prompt_ids USING (ord)
        WHERE now.passed IS DISTINCT FROM was.passed
        ORDER BY row_number() OVER (PARTITION BY number, was.passed, now.passed ORDER BY ord, arm, sample_index), number,
            was.passed, now.passed
        LIMIT {SHOWN}
        """
    )
    return [
        Change(
            verifier=verifiers[number].name,
            prompt_id=prompt_id,
            teacher=arms[place][0],
            strategy=arms[place][1],
            sample_index=index,
            before=WORDS[was],
            after=WORDS[now],
            reason_before=reason_before,
            reason=reason,
        )
        for number, prompt_id, place, index, was, now, reason_before, reason in rows
    ]
