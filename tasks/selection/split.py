"""Split: which traces are for training, and which are held back, decided by the prompt alone.

A prompt goes by a number in [0, 1): below `test` it is the test's, below `test + validation` the validation's, else it is for
training. So raising `validation` takes prompts from training alone. The number is

- a hash of the seed and the text, normalised: the same text is never in two splits, and it keeps its split whatever else is added
  or taken away;
- of a prompt that was grown from others, that of its seed: the same question in other words would tell what is held back;
- with `group`, a hash of the seed and the group's name in place of the text's;
- with `stratify`, the next of a sequence that each stratum of each source has for itself: multiples of the golden ratio modulo 1,
  from a start that the seed gives (an additive recurrence: Weyl 1916; as integers, Knuth's "Fibonacci hashing"). Of any n of
  them in a row, p * n fall below p but for one or two, so that small strata get their share too. A text keeps its split as long
  as what is new stands behind what was there.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from storage.sql import literal
from storage.workspace import Workspace
from tasks.duplicates.digests import normalised
from tasks.labels import PromptLabel, label_sql
from tasks.options import Options

_BITS = 60
_GOLDEN = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio, odd."""
_JUMPS = 32
"""That lead from any grown prompt to its seed; more would only go round where ids that a source gives name each other."""


class SplitOptions(Options):
    """The spec's `select.split`."""

    validation: float = Field(default=0.0, ge=0, lt=1)
    """Share of the prompts."""
    test: float = Field(default=0.0, ge=0, lt=1)
    """Share of the prompts."""
    group: PromptLabel | None = None
    """Prompts with the same value are in the same split; groups that share a text are one group."""
    stratify: PromptLabel | None = None
    """Prompts with the same value are split among themselves."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 < self.validation + self.test < 1:
            raise ValueError("validation and test together must be more than 0 and less than 1")
        return self


def split(workspace: Workspace, options: SplitOptions | None, *, seed: int) -> None:
    """Make `splits`: the prompts that are held back, by `ord`, and for what."""
    workspace.execute("CREATE OR REPLACE TABLE splits (ord BIGINT, split VARCHAR)")
    if options is None:
        return
    _units(workspace, options)
    if options.stratify is None:
        workspace.execute(f"CREATE TABLE numbers AS SELECT DISTINCT unit, {_hash(seed, 'unit')} AS number FROM units")
    else:
        workspace.execute(
            f"""
            CREATE TABLE numbers AS
            WITH firsts AS (
                SELECT unit, min(ord) AS first, arg_min(stratum, ord) AS stratum FROM units GROUP BY unit
            )
            SELECT unit, ({_hash(seed, "stratum")} * 16
                + (row_number() OVER (PARTITION BY stratum ORDER BY first) - 1)::HUGEINT * {_GOLDEN}) % {1 << 64} // 16 AS number
            FROM firsts
            """
        )
    test, both = (round(share * (1 << _BITS)) for share in (options.test, options.test + options.validation))
    workspace.execute(
        f"INSERT INTO splits SELECT ord, if(number < {test}, 'test', 'validation') FROM units JOIN numbers USING (unit) "
        f"WHERE number < {both}"
    )
    for table in ("units", "numbers"):
        workspace.execute(f"DROP TABLE {table}")


def _units(workspace: Workspace, options: SplitOptions) -> None:
    """Make `units`: for each prompt what it stays together with, its text, and its stratum, as addresses."""
    text = _address(f"'text/' || {normalised('prompt')}")
    group = "NULL" if options.group is None else _address(f"'group/' || {label_sql(options.group)}")
    label = "''" if options.stratify is None else f"coalesce({label_sql(options.stratify)}, '')"
    stratum = _address(f"'stratum/' || source || '/' || {label}")
    workspace.execute(
        f"CREATE TABLE units AS SELECT ord, coalesce({group}, {text}) AS unit, {text} AS text, {stratum} AS stratum, "
        f"{group} IS NOT NULL AS grouped FROM prompts"
    )
    _follow_seeds(workspace)
    while options.group is not None:
        workspace.execute(
            """
            CREATE OR REPLACE TABLE merged AS
            SELECT unit, min(least) AS least FROM (SELECT unit, min(unit) OVER (PARTITION BY text) AS least FROM units)
            GROUP BY unit HAVING min(least) < unit
            """
        )
        ((left,),) = workspace.rows("SELECT count(*) FROM merged")
        if left:
            workspace.execute("UPDATE units SET unit = least FROM merged WHERE units.unit = merged.unit")
        else:
            workspace.execute("DROP TABLE merged")
            return


def _follow_seeds(workspace: Workspace) -> None:
    """Let prompts that were grown, and are in no group, stay together with the seed that each was grown from.

    One whose text others have that weren't grown stays together with them, so that these keep their split whatever is grown.
    """
    workspace.execute(
        "CREATE TABLE kin AS SELECT ord, prompt_id, parents[1] AS seed FROM prompts JOIN units USING (ord) "
        "WHERE len(parents) > 0 AND NOT grouped"
    )
    if not workspace.rows("SELECT 1 FROM kin LIMIT 1"):
        workspace.execute("DROP TABLE kin")
        return
    above = "kin JOIN (SELECT prompt_id AS seed, seed AS its FROM kin) AS above USING (seed)"
    for _ in range(_JUMPS):  # each goes twice as far up as the one before
        if not workspace.rows(f"SELECT 1 FROM {above} LIMIT 1"):
            break
        workspace.execute(f"CREATE TABLE jumped AS SELECT kin.ord, its FROM {above}")
        workspace.execute("UPDATE kin SET seed = its FROM jumped WHERE kin.ord = jumped.ord")
        workspace.execute("DROP TABLE jumped")
    workspace.execute(
        f"""
        CREATE TABLE followed AS
        WITH seeds AS (
            SELECT prompt_id AS seed, unit FROM prompts JOIN units USING (ord) WHERE prompt_id IN (SELECT seed FROM kin)
        ),
        own AS (SELECT kin.ord, text, coalesce(seeds.unit, {_address("'seed/' || seed")}) AS unit
            FROM kin JOIN units USING (ord) LEFT JOIN seeds USING (seed)),
        others AS (SELECT text, min(unit) AS unit FROM units ANTI JOIN kin USING (ord) SEMI JOIN own USING (text) GROUP BY text)
        SELECT ord, coalesce(others.unit, min(own.unit) OVER (PARTITION BY text)) AS unit FROM own LEFT JOIN others USING (text)
        """
    )
    workspace.execute("UPDATE units SET unit = followed.unit FROM followed WHERE units.ord = followed.ord")
    for table in ("kin", "followed"):
        workspace.execute(f"DROP TABLE {table}")


def _address(text: str) -> str:
    """Return the expression of a text's address; null where the text is."""
    return f"left(sha256({text}), 32)::UUID"


def _hash(seed: int, column: str) -> str:
    """Return the expression of a number of so many bits, by the seed and an address."""
    return f"('0x' || left(sha256({literal(f'{seed}/split/')} || {column}), {_BITS // 4}))::HUGEINT"
