"""Prepare: prompts are staged, rendered and addressed, and the slots that the lake hasn't got are found.

Everything streams. What is joined and sorted is ids and ordinals, in the workspace's DuckDB, out of core.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.errors import SourceError
from storage.identity import check_inputs, request_key
from storage.parquet import PartWriter
from storage.records import Message, Prompt
from storage.rows import prompt_of, prompt_row
from storage.schemas import PROMPTS
from storage.sql import literal, parquet_files
from storage.workspace import Workspace
from tasks import barred
from tasks.growth.files import start as start_growth
from tasks.sources import Found
from tasks.templates import Template
from tasks.tokens import estimate_messages

STAGED_PROMPTS = pa.schema(
    [*PROMPTS, ("ord", pa.int64()), ("place", pa.string()), ("given", pa.bool_()), ("inputs", pa.string())]
)
REQUESTS = pa.schema(
    [
        ("ord", pa.int64()),
        ("arm", pa.int16()),
        ("key", pa.string()),
        ("inputs", pa.string()),
        ("chars", pa.int32()),
        ("tokens", pa.int32()),
    ]
)
"""Of a prompt and what asks it; `tokens` as `tasks.tokens` reckons. `arm`, here and wherever the workspace has one, is the number
of an `Asked`: where there are strategies, a teacher has one for each."""
ROW_GROUP = 2_048
"""Of the staged files: a shard reads few rows that aren't its own."""
FILE = 16_384
"""Prompts in a staged file, a multiple of a shard's: whoever reads a shard reads the whole footer of its file and of no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A teacher or, where there are strategies, a teacher with one of them: what it adds to a request's address."""

    provider: str
    """The provider."""
    model: str
    """The model."""
    identity: Mapping[str, Any]
    """`Teacher.identity`."""
    strategy: str | None = None
    """The strategy; None: the plain template."""
    by_id: Callable[[str], str | None] | None = field(default=None, compare=False, repr=False)
    """`Personal.answers_by_id`, of such a teacher."""

    def identity_for(self, prompt_id: str) -> Mapping[str, Any]:
        """Return what decides the answer to a prompt: what is recorded under its id too, where the teacher goes by that."""
        recorded = None if self.by_id is None else self.by_id(prompt_id)
        return self.identity if recorded is None else {**self.identity, "recorded": recorded}

    @property
    def who(self) -> tuple[str, str, Mapping[str, Any]]:
        """Return what tells its teacher from the others."""
        return self.provider, self.model, self.identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What there is to do."""

    prompts: int
    """After folding."""
    folded: int
    """Rows that repeated another one's content, and count once."""
    slots: int
    """k of each prompt, teacher and strategy that the prompt is for."""
    stored: int
    """Slots whose sample is in the lake."""
    by_strategy: Mapping[str | None, int] = field(default_factory=dict)
    """Rows that each strategy asks; None: the plain template."""

    @property
    def missing(self) -> int:
        """Slots whose sample must be bought, or belongs to another slot that asks for the very same."""
        return self.slots - self.stored


def prepare(
    workspace: Workspace,
    prompts: Iterable[Found],
    template: Template,
    teachers: Sequence[Asked],
    parameters: Mapping[str, Any],
    k: int,
) -> Prepared:
    """Fill the workspace's `prompts` (a view on staged files), `prompt_ids`, `slots` and `arms`; `tasks.barred` fills `barred`.

    `arms` has a row for each of `teachers`: its number, the number of the `first` that is the same teacher, and the strategy.

    Raise SourceError or SpecError; nothing is spent.
    """
    _arms(workspace, teachers)
    by_strategy = _stage(workspace, prompts, template, teachers, parameters)
    files = literal(f"{escape(str(staged_files(workspace)))}/*.parquet")
    staged = f"read_parquet({files}, hive_partitioning=false)"
    requests = literal(workspace.folder / "requests.parquet")
    ((asked,),) = workspace.rows(f"SELECT count(*) FROM {requests}")
    workspace.make_room(asked * k)
    workspace.make_room_for(files)
    # Of sources that have the same row, the one counts whose prompts are of the latest generation: what a model is known to have
    # written isn't a person's since another source, whose generation may be none but the default, has it too.
    workspace.execute(
        "CREATE TABLE folded AS SELECT ord FROM (SELECT ord, first_value(ord) OVER "
        f"(PARTITION BY prompt_id ORDER BY generation DESC, ord) AS kept FROM {staged}) WHERE ord <> kept"
    )
    folded = workspace.rows("SELECT count(*) FROM folded")[0][0]
    _refuse_same_ids(workspace, staged)
    unfolded = "ANTI JOIN folded USING (ord)" if folded else ""
    workspace.execute(f"CREATE VIEW prompts AS FROM {staged} {unfolded}")
    # What the whole-dataset steps join with: they must not carry texts.
    workspace.execute("CREATE TABLE prompt_ids AS SELECT ord, prompt_id, sha256(prompt) AS prompt_digest FROM prompts")
    workspace.execute(
        f"""
        CREATE TABLE slots AS
        SELECT ord, arm, i::INTEGER AS sample_index, left(sha256(key || '/' || i), 32) AS sample_id, key, inputs, chars, tokens,
            FALSE AS stored
        FROM {requests} {unfolded}, range({k}) AS indices(i)
        ORDER BY ord, arm, sample_index
        """
    )
    # Not with the sort, since both would need room at once.
    workspace.execute("CREATE TABLE here AS SELECT slots.rowid AS place FROM slots SEMI JOIN samples USING (sample_id)")
    workspace.execute("UPDATE slots SET stored = TRUE WHERE rowid IN (SELECT place FROM here)")
    workspace.execute("DROP TABLE here")
    barred.start(workspace)
    start_growth(workspace)
    ((prompts_,),) = workspace.rows("SELECT count(*) FROM prompt_ids")
    ((slots, stored),) = workspace.rows("SELECT count(*), count(*) FILTER (stored) FROM slots")
    return Prepared(prompts=prompts_, folded=folded, slots=slots, stored=stored, by_strategy=by_strategy)


def unbarred(workspace: Workspace, prepared: Prepared) -> Prepared:
    """Return what there is to do without the slots of barred prompts."""
    ((slots, stored),) = workspace.rows("SELECT count(*), count(*) FILTER (stored) FROM slots")
    return dataclasses.replace(prepared, slots=slots, stored=stored)


def first_asked(workspace: Workspace, template: Template) -> tuple[Message, ...]:
    """Return the first prompt of which samples are wanted, as it is sent by the first strategy for it; () where none is."""
    ((ord_,),) = workspace.rows("SELECT min(ord) FROM slots")
    if ord_ is None:
        return ()
    (row,) = workspace.table(f"FROM {staged_near(workspace, ord_, ord_)} WHERE ord = {ord_}").to_pylist()
    prompt = prompt_of(row)
    return template.render(prompt, place=row["place"], strategy=template.strategies(prompt)[0])


def some_prompts(workspace: Workspace, number: int) -> list[Prompt]:
    """Return up to so many of the prompts of which samples are wanted, spread over them, and the same ones each time."""
    ((first, last),) = workspace.rows("SELECT min(ord), max(ord) FROM slots")
    if first is None:
        return []
    # Slots are in order, so that each of these looks at a stretch of them alone; and so is what is staged.
    wanted = sorted({first + (last - first) * each // max(1, number - 1) for each in range(number)})
    found = {workspace.rows(f"SELECT min(ord) FROM slots WHERE ord >= {ord_}")[0][0] for ord_ in wanted}
    tables = (workspace.table(f"FROM {staged_near(workspace, ord_, ord_)} WHERE ord = {ord_}") for ord_ in sorted(found))
    return [prompt_of(row) for table in tables for row in table.to_pylist()]


def staged_files(workspace: Workspace) -> Path:
    """Return the folder that has the staged prompts, folded ones included, in files whose names are in order."""
    return workspace.folder / "staged"


def staged_near(workspace: Workspace, first: int, last: int) -> str:
    """Return the table function that reads those files alone that have the prompts from one to another, folded ones included."""
    files = [str(_staged_file(workspace, ord_)) for ord_ in range(first // FILE * FILE, last + 1, FILE)]
    return parquet_files(files)


def _staged_file(workspace: Workspace, ord_: int) -> Path:
    return staged_files(workspace) / f"{ord_ // FILE:06d}.parquet"


def spread(workspace: Workspace, prompts: int, *, seed: int) -> int:
    """Keep the slots of so many prompts, one of each of as many equal stretches of the dataset; return how many are kept.

    Which one of a stretch is random, and the same every time. None of them is barred.
    """
    workspace.execute(
        f"""
        CREATE TABLE narrowed AS
        SELECT arg_min(ord, sha256({literal(str(seed))} || '/' || prompt_id)) AS ord
        FROM (
            SELECT *, row_number() OVER (ORDER BY ord) - 1 AS place, count(*) OVER () AS many
            FROM prompt_ids ANTI JOIN barred USING (ord)
        )
        GROUP BY place * least({prompts}, many) // many
        """
    )
    workspace.execute("DELETE FROM slots WHERE ord NOT IN (FROM narrowed)")
    return int(workspace.rows("SELECT count(*) FROM narrowed")[0][0])


def _arms(workspace: Workspace, teachers: Sequence[Asked]) -> None:
    known = [each.who for each in teachers]
    rows = ", ".join(
        f"({number}, {known.index(each.who)}, {'NULL' if each.strategy is None else literal(each.strategy)})"
        for number, each in enumerate(teachers)
    )
    workspace.execute("CREATE TABLE arms (arm SMALLINT, first SMALLINT, strategy VARCHAR)")
    workspace.execute(f"INSERT INTO arms VALUES {rows}")


def _stage(
    workspace: Workspace, prompts: Iterable[Found], template: Template, teachers: Sequence[Asked], parameters: Mapping[str, Any]
) -> Mapping[str | None, int]:
    counted: Counter[str | None] = Counter()
    with PartWriter(workspace.folder / "requests.parquet", REQUESTS) as requests, contextlib.ExitStack() as stack:
        staged = stack.enter_context(PartWriter(_staged_file(workspace, 0), STAGED_PROMPTS, row_group=ROW_GROUP))
        for number, found in enumerate(prompts):
            if number and number % FILE == 0:
                stack.close()
                staged = stack.enter_context(PartWriter(_staged_file(workspace, number), STAGED_PROMPTS, row_group=ROW_GROUP))
            by_strategy = {
                strategy: template.render(found.prompt, place=found.place, strategy=strategy)
                for strategy in template.strategies(found.prompt)
            }
            counted.update(by_strategy.keys())
            try:
                own = {"ord": number, "place": found.place, "given": found.given, "inputs": check_inputs(found.prompt)}
                staged.write(prompt_row(found.prompt) | own)
                sizes = {
                    strategy: {"chars": sum(len(each.content) for each in messages), "tokens": estimate_messages(messages)}
                    for strategy, messages in by_strategy.items()
                }
                for arm, asked in enumerate(teachers):
                    if asked.strategy not in by_strategy:
                        continue
                    key = request_key(
                        provider=asked.provider,
                        model=asked.model,
                        messages=by_strategy[asked.strategy],
                        parameters=parameters,
                        identity=asked.identity_for(found.prompt.prompt_id),
                    )
                    row = {"ord": number, "arm": arm, "key": key, "inputs": own["inputs"]}
                    requests.write(row | sizes[asked.strategy])
            except (UnicodeEncodeError, TypeError) as error:
                raise SourceError(f"{found.place}: has a text that isn't Unicode (a lone surrogate): {error}") from error
    return counted


def _refuse_same_ids(workspace: Workspace, staged: str) -> None:
    # Rows without an id that are the same in all that matters are one prompt; an id that a source gives must be unique.
    repeated = f"SELECT prompt_id FROM {staged} WHERE given AND ord IN (FROM folded) ORDER BY ord LIMIT 1"
    for (identifier,) in workspace.rows(repeated):
        # By itself: a join would look the others up of every prompt.
        named = f"SELECT place FROM {staged} WHERE prompt_id = $1 ORDER BY ord LIMIT 2"
        (earlier,), (place,) = workspace.rows(named, [identifier])
        advice = "ids must be unique"
        if place == earlier:
            advice = "the source stands in `prompts` twice: leave one out, or let it have `grow` with `keep_seeds: false`"
        raise SourceError(f"{place}: the id {identifier!r} is taken by {earlier}; {advice}")
