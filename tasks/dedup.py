"""Dedup: of samples that say the same, or nearly the same, one is kept, and every other one's outcome names it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from storage.errors import SpecError
from storage.lake import Lake
from storage.plugins import nearest
from storage.sql import literal, parquet_in
from storage.workspace import Workspace
from tasks.duplicates.digests import TEXT, normalised
from tasks.duplicates.minhash import Shape, shape
from tasks.options import Options, PathText


class NearOptions(Options):
    """The spec's `dedup.near`."""

    threshold: float = Field(default=0.8, ge=0.3, le=1)
    """Two texts are the same where the Jaccard similarity of their sets of n-grams is this or more."""
    ngram: int = Field(default=5, ge=1, le=32)
    """Words in an n-gram."""
    num_perm: int = Field(default=128, ge=16, le=1024)
    """Minima in a signature, at most. More find as many pairs, and compare fewer in vain."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if shape(self.threshold, self.num_perm) is None:
            raise ValueError(f"num_perm: {self.num_perm} are too few for a threshold of {self.threshold:g}; leave it out")
        return self

    @property
    def shape(self) -> Shape:
        """How signatures are cut."""
        found = shape(self.threshold, self.num_perm)
        if found is None:
            raise AssertionError("checked when it was made")
        return found


class SemanticOptions(Options):
    """The spec's `dedup.semantic`."""

    model: PathText
    """A model2vec model: a folder, or an id on the Hub. Needs the extra `semantic`."""
    threshold: float = Field(default=0.95, ge=0.5, le=1)
    """Two responses say the same where the cosine of their embeddings is this or more."""


def _near(value: object) -> object:
    if isinstance(value, bool):
        return NearOptions() if value else None
    if value is None or isinstance(value, dict | NearOptions):
        return value
    meant = f"{{threshold: {value:g}}}" if isinstance(value, int | float) else "true"
    raise ValueError(f"must be `true` or a mapping; did you mean `near: {meant}`?")


def _names(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"must be a list of datasets: [{value}]")  # noqa: TRY004 - pydantic takes no other for a user's mistake
    return value


class DedupOptions(Options):
    """The spec's `dedup`."""

    exact: bool = True
    """Drop a text that is another one's but for case, white space and Unicode form. Reasoning is a part of a response."""
    near: Annotated[NearOptions | None, BeforeValidator(_near)] = None
    """Drop a text that shares most of its n-grams of words with another one; `true`: with the defaults."""
    semantic: SemanticOptions | None = None
    """Drop a response whose embedding points almost the same way as another one's."""
    by: Literal["response", "prompt", "both"] = "response"
    """response: whatever was asked. prompt: of prompts whose user's text is the same, one keeps its samples. both: only where
    the user's text and the response are the same."""
    within: Literal["dataset", "prompt"] = "dataset"
    """prompt: only samples whose user's text is the very same are compared."""
    against: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_names)] = ()
    """Other datasets of the lake: what the newest build of one has kept is dropped here."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.near is not None and not self.exact:
            raise ValueError("exact: false: what is exactly the same is near, too; leave it out, or leave `near` out")
        if self.by == "prompt" and self.within == "prompt":
            raise ValueError("by: prompt compares prompts, and within: prompt never leaves one; leave one of the two out")
        if self.semantic is not None and self.by == "prompt":
            raise ValueError("semantic compares responses, and by: prompt compares prompts; leave one of the two out")
        if self.against and not self.on:
            raise ValueError("against: nothing is compared, with exact: false and without `near` or `semantic`")
        twice = [name for place, name in enumerate(self.against) if name in self.against[:place]]
        if twice:
            raise ValueError(f"against: {twice[0]!r} stands in it twice")
        return self

    @property
    def on(self) -> bool:
        """Whether anything is dropped."""
        return self.exact or self.near is not None or self.semantic is not None


ORDER = "returned, score DESC NULLS LAST, length, sample_id, ord, teacher, sample_index"
"""The order in which samples are preferred. What came back (`tasks.second_chance`) drops nothing that had stayed."""


def dedup(workspace: Workspace, options: DedupOptions, lake: Lake, *, build_id: str) -> None:
    """Reject duplicates among the `candidates` still in. The best verdict stays, then the shortest, then the least id.

    `against` takes what the datasets' newest builds hold now. Raise StorageError where one of them was never built.
    """
    if not options.on:
        return
    held(workspace, options.against, lake)
    if options.near is not None:
        from tasks.duplicates.near import drop_near

        drop_near(workspace, options.near, lake, by=options.by, within=options.within, build_id=build_id)
    elif options.exact:
        _exact(workspace, options)
    if options.semantic is not None:
        from tasks.duplicates.semantic import drop_semantic

        drop_semantic(workspace, options.semantic, by=options.by, within=options.within)
    workspace.execute("DROP VIEW held")


def check_against(options: DedupOptions, lake: Lake, *, dataset: str, where: str) -> None:
    """Raise SpecError where what `against` names isn't another dataset that was built in the lake."""
    known = sorted({build["dataset"] for build in lake.builds()} - {dataset}) if options.against else []
    for number, name in enumerate(options.against):
        place = f"{where}: dedup.against[{number}]"
        if name == dataset:
            raise SpecError(f"{place}: {name!r} is this dataset itself; name others of the lake")
        if name not in known:
            raise SpecError(f"{place}: no build of {name!r} in {lake.root}; {nearest(name, known)}")


def held(workspace: Workspace, datasets: tuple[str, ...], lake: Lake) -> None:
    """Make the view `held`: the traces of the newest builds of other datasets."""
    none = "SELECT 0 AS source, '' AS dataset, sample_id, response AS prompt, reasoning, response FROM samples LIMIT 0"
    views = [f"({none})"]
    for number, name in enumerate(datasets):
        traces = lake.snapshot("traces", name, lake.build(name)["build_id"])
        views.append(
            f"(SELECT {number} AS source, {literal(name)} AS dataset, sample_id, prompt, reasoning, response "
            f"FROM {parquet_in(traces)})"
        )
    workspace.execute(f"CREATE VIEW held AS {' UNION ALL '.join(views)}")


def _exact(workspace: Workspace, options: DedupOptions) -> None:
    mine, theirs, joined = {
        ("response", "dataset"): ("digest", f"md5_number({normalised(TEXT)})", ""),
        ("prompt", "dataset"): ("asked", f"md5_number({normalised('prompt')})", "JOIN asked_digests USING (ord)"),
    }.get(
        (options.by, options.within),
        ("digest, prompt_digest", f"md5_number({normalised(TEXT)}), sha256(prompt)", "JOIN prompt_ids USING (ord)"),
    )
    prompts = options.by == "prompt"
    if prompts:
        asked = f"SELECT ord, md5_number({normalised('prompt')}) AS asked FROM prompts"
        workspace.execute(f"CREATE TABLE asked_digests AS {asked}")
    # What other datasets hold has no ordinal, and is there to stay.
    compared = f"""
        SELECT ord, teacher, sample_index, sample_id, NULL::VARCHAR AS dataset, returned, score, length, {_named(mine)}
        FROM candidates {joined} WHERE stage IS NULL
        UNION ALL
        SELECT NULL, NULL, NULL, sample_id, dataset, FALSE, NULL, source, {theirs} FROM held
        """
    another = "ranked.ord IS DISTINCT FROM first_ord" if prompts else "rank > 1"
    said = "its prompt duplicates that of " if prompts else "duplicates "
    columns = ", ".join(f"same{number}" for number in range(mine.count(",") + 1))
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'dedup', reason = '{said}' || first,
            kept_ord = first_ord, kept_teacher = first_teacher, kept_index = first_index
        FROM (
            SELECT ord, teacher, sample_index, first_value(ord) OVER same AS first_ord,
                first_value(teacher) OVER same AS first_teacher, first_value(sample_index) OVER same AS first_index,
                first_value(concat_ws(' of ', sample_id, dataset)) OVER same AS first,
                row_number() OVER same AS rank
            FROM ({compared})
            WINDOW same AS (
                PARTITION BY {columns} ORDER BY (dataset IS NULL), {ORDER}
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )
        ) AS ranked
        WHERE {another} AND candidates.ord = ranked.ord
            AND candidates.teacher = ranked.teacher AND candidates.sample_index = ranked.sample_index
        """
    )
    if prompts:
        workspace.execute("DROP TABLE asked_digests")


def _named(columns: str) -> str:
    return ", ".join(f"{column} AS same{number}" for number, column in enumerate(columns.split(", ")))
