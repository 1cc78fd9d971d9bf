"""Traces with the distributions that lie in the lake: their samples' own, or a scorer's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SpecError
from storage.identity import showing
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SAMPLES, SCORES
from storage.workspace import Workspace
from tasks.publishing import distributions
from tasks.publishing.distributions import Distributions, Wanted, positions
from tasks.publishing.revised import stated
from tests.fakes import NOON
from tests.tasks import landed
from tests.tasks.exporters.distributions import logprobs


def sample_id(n: int) -> str:
    """Return a sample's id."""
    return f"{n:032x}"


def value(number: float) -> dict[str, Any]:
    """Return a distribution that is known by its first probability."""
    found: dict[str, Any] = logprobs(
        [b"a", b"b"], [1, 2], others=[[((b"a", 1), number), ((b"c", 3), -9.0)], []], sampled=[number, -1.0]
    ).as_py()
    return found


def land(lake: Lake, traces: int = 6) -> Path:
    """Land a build whose samples lie in two parts, backwards, with some that aren't its own, and return its traces."""
    with lake.writing(print):
        pass
    landed.land(lake, [landed.trace(n, sample_id=sample_id(n)) for n in range(traces)])
    rows = [
        {"sample_id": sample_id(n), "logprobs": value(-float(n)) if n != 2 else None, "created_at": NOON}
        for n in reversed(range(traces + 3))
    ]
    write_rows(lake.root / "samples" / "a.parquet", SAMPLES, rows[:4])
    write_rows(lake.root / "samples" / "b.parquet", SAMPLES, rows[4:])
    return lake.snapshot("traces", "sums", "b1")


@contextlib.contextmanager
def stored(lake: Lake, traces: Path, scores: str | None = None, **wanted: Any) -> Iterator[Distributions]:
    """Give the distributions of a build's traces."""
    with Workspace(lake, lake.staging / "soft") as workspace:
        yield Distributions(lake, workspace, traces, wanted=Wanted(scorer=scores, **wanted) if scores else None)


def firsts(found: Distributions, ids: list[int]) -> list[float | None]:
    """Return by what each trace's distribution is known."""
    traces = [{"sample_id": sample_id(n)} for n in ids]
    return [None if each["logprobs"] is None else float(positions(each["logprobs"]).logprobs[0]) for each in found.beside(traces)]


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_in_the_order_of_traces(lake: Lake, monkeypatch: pytest.MonkeyPatch, rows: int):
    """However the lake has them, and however often they are asked for; None where a sample has none, or isn't there."""
    monkeypatch.setattr(distributions, "BATCH_ROWS", rows)
    with stored(lake, land(lake)) as found:
        assert firsts(found, [0, 1, 2, 3, 4, 5]) == [0, -1, None, -3, -4, -5]
        assert firsts(found, [5, 0, 5, 7, 99]) == [-5, 0, -5, None, None]
        assert found.size > 0


def test_an_earlier_part(lake: Lake):
    """Samples of an earlier version, whose column has another form and is empty, have no distributions."""
    traces = land(lake)
    part = lake.root / "samples" / "a.parquet"
    table = pq.read_table(part, partitioning=None)
    place = table.schema.get_field_index("logprobs")
    earlier = pa.list_(pa.struct([("token", pa.binary()), ("logprob", pa.float32())]))
    pq.write_table(table.set_column(place, "logprobs", pa.nulls(len(table), earlier)), part)
    with stored(lake, traces) as found:
        assert firsts(found, list(range(6))) == [-0.0, -1.0, None, -3.0, -4.0, None]


def test_revisions(lake: Lake):
    """Each trace has that of its own sample, with distributions or without; None where nobody noted one, as earlier versions."""
    traces = land(lake)
    part = lake.root / "samples" / "b.parquet"
    table = pq.read_table(part, partitioning=None)
    said = pa.array([f"r{int(each, 16) % 2}" if int(each, 16) else None for each in table["sample_id"].to_pylist()])
    pq.write_table(table.set_column(table.schema.get_field_index("revision"), "revision", said), part)
    earlier = lake.root / "samples" / "a.parquet"
    pq.write_table(pq.read_table(earlier, partitioning=None).drop_columns("revision"), earlier)
    with stored(lake, traces) as found:
        given = [each["revision"] for each in found.beside({"sample_id": sample_id(n)} for n in [*range(6), 99])]
    assert given == [None, "r1", "r0", "r1", "r0", None, None]


def test_stated_revisions():
    """What a spec says stands where nothing was noted; of a scorer, where it gave something."""
    build = {"spec": {"teachers": [{"name": "a", "revision": "said"}, {"name": "b"}]}}
    traces = [
        {"teacher": who, "revision": noted, "logprobs": given}
        for who, noted, given in (("a", None, None), ("a", "noted", 1), ("b", None, 1), (None, None, None))
    ]
    assert [each["revision"] for each in stated(traces, build, None)] == ["said", "noted", None, None]
    assert [each["revision"] for each in stated(traces, build, {"revision": "big"})] == [None, "noted", "big", None]


def test_as_arrays(lake: Lake):
    """A distribution comes as the record has it."""
    with stored(lake, land(lake)) as found:
        (trace,) = found.beside([{"sample_id": sample_id(1), "prompt": "p"}])
    assert trace["prompt"] == "p"
    got = positions(trace["logprobs"])
    assert (got.tokens, got.top_tokens) == ([b"a", b"b"], [b"a", b"c"])
    assert (got.counts.tolist(), got.top_logprobs.tolist(), len(got)) == ([2, 0], [-1, -9], 2)
    assert got.ids is not None
    assert got.top_ids is not None
    assert (got.ids.tolist(), got.top_ids.tolist()) == ([1, 2], [1, 3])


def test_stored_twice(lake: Lake):
    """Of a sample that stands in the lake twice, the earlier counts, as in a snapshot."""
    traces = land(lake)
    twice = [
        {"sample_id": sample_id(n), "logprobs": value(-50.0), "created_at": NOON + timedelta(seconds=2 * n - 3)} for n in (1, 3)
    ]
    write_rows(lake.root / "samples" / "c.parquet", SAMPLES, twice)
    with stored(lake, traces) as found:
        assert firsts(found, [1, 3]) == [-50, -3]


def test_parts_without_the_build_are_not_read(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """Distributions are read of those parts alone that hold one of the traces' samples."""
    traces = land(lake)
    write_rows(
        lake.root / "samples" / "z.parquet", SAMPLES, [{"sample_id": sample_id(50), "logprobs": value(-1.0), "created_at": NOON}]
    )
    read = []
    whole = distributions.read_batches
    monkeypatch.setattr(distributions, "read_batches", lambda path, **more: read.append(path.name) or whole(path, **more))
    with stored(lake, traces):
        assert read == ["a.parquet", "b.parquet"]


class TestScores:
    """Distributions of a scorer's."""

    @staticmethod
    def score(
        lake: Lake, *rows: tuple[int, str, str, float | None], later: int = 0, top: int = 1, reasoning: str | None = "omit"
    ) -> None:
        """Store scores of samples by name and fingerprint, of one model, so many seconds after noon; None: it was refused.

        `reasoning` is None in the scores of an earlier version.
        """
        made = [
            {
                "sample_id": sample_id(n),
                "scorer": name,
                "provider": "transformers",
                "model": f"models/{name}",
                "fingerprint": print_,
                "top": top,
                "reasoning": reasoning,
                "logprobs": None if number is None else value(number),
                "reason": "too long" if number is None else None,
                "created_at": NOON + timedelta(seconds=later),
            }
            for n, name, print_, number in rows
        ]
        write_rows(lake.root / "scores" / f"{later}.parquet", SCORES, made)

    def test_by_name(self, lake: Lake):
        """In place of the samples' own, and of other scorers'; its model's name will do."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1", -20.0), (1, "other", "f2", -30.0), (3, "big", "f1", -23.0))
        for name in ("big", "models/big"):
            with stored(lake, traces, name) as found:
                assert firsts(found, [0, 1, 3]) == [-20, None, -23]

    def test_by_model(self, lake: Lake):
        """Where the teacher is known, scores are its model's, whatever it was called as it made them."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1", -20.0), (1, "other", "f2", -30.0))
        with stored(lake, traces, "huge", of=("transformers", "models/big")) as found:
            assert firsts(found, [0, 1]) == [-20, None]
        with (
            pytest.raises(
                SpecError, match=r"has a score by 'big' \(transformers, models/new\) with .*; there are some by f1 \(big: "
            ),
            stored(lake, traces, "big", of=("transformers", "models/new")),
        ):
            pass

    def test_refused_at_first(self, lake: Lake):
        """A response that the scorer refused once, and scored later, has its distributions."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1", None), (1, "big", "f1", -30.0), (3, "big", "f1", None))
        self.score(lake, (0, "big", "f1", -20.0), later=1)
        with stored(lake, traces, "big") as found:
            assert firsts(found, [0, 1, 3]) == [-20, -30, None]

    def test_of_several_kinds(self, lake: Lake):
        """Scores of one name that were made in two ways don't go together, also where both are of the same sample."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1aaaaaaaa", -20.0), (1, "big", "f1aaaaaaaa", -30.0), top=0)
        self.score(lake, (0, "big", "f2bbbbbbbb", -21.0), (99, "big", "f3", -30.0), later=1, top=20)
        said = (
            r"'big' has scored these traces in 2 ways, which don't go together: f1aaaaaa \(big: models/big, 0 alternatives, "
            r"reasoning: omit, 2 traces, last .*\), f2bbbbbb \(.* 20 alternatives, .*\); say which counts, as in fingerprint: f1aaaaaa"
        )
        with pytest.raises(SpecError, match=said), stored(lake, traces, "big"):
            pass
        with stored(lake, traces, "big", fingerprint="f2bbbbbb") as found:
            assert firsts(found, [0, 1]) == [-21, None]
        for wrong, how in (("f", "2 of"), ("f3", "none of")):
            with (
                pytest.raises(SpecError, match=f"{how} the scores by 'big' begin with '{wrong}': f1aaaaaa"),
                stored(lake, traces, "big", fingerprint=wrong),
            ):
                pass

    def test_how_reasoning_is_shown(self, lake: Lake):
        """Scores count for rows that show reasoning as they do; others are told with what they are."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1", -20.0), reasoning="think")
        self.score(lake, (0, "big", "f2", -21.0), later=1)
        for how, first in (("think", -20), ("omit", -21)):
            with stored(lake, traces, "big", reasoning=how) as found:
                assert firsts(found, [0]) == [first]
        said = r"with `reasoning: turn`; run `stillhouse score SPEC --teacher big --reasoning turn` first; there are some by f1 \(big.*"
        with pytest.raises(SpecError, match=f"{said}reasoning: think"), stored(lake, traces, "big", reasoning="turn"):
            pass

    def test_without_reasoning(self, lake: Lake):
        """Scores of samples without reasoning count in each form, beside those of the same scorer in that form."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1", -20.0), reasoning="none")
        self.score(lake, (1, "big", showing("f1", "think"), -21.0), later=1, reasoning="think")
        self.score(lake, (1, "big", showing("f1", "omit"), -22.0), later=2)
        for how, expected in (("think", [-20, -21]), ("omit", [-20, -22])):
            for more in ({}, {"fingerprint": showing("f1", how)[:8]}):
                with stored(lake, traces, "big", reasoning=how, **more) as found:
                    assert firsts(found, [0, 1]) == expected
        self.score(lake, (1, "big", showing("f2", "think"), -23.0), later=3, reasoning="think")
        with pytest.raises(SpecError, match="in 2 ways"), stored(lake, traces, "big", reasoning="think"):
            pass

    def test_only_without_reasoning(self, lake: Lake):
        """Where traces have reasoning, and none was scored in the form that is wanted, that is told with what to run."""
        with lake.writing(print):
            landed.land(lake, [landed.trace(n, sample_id=sample_id(n), reasoning="Hm." if n else None) for n in range(2)])
        self.score(lake, (0, "big", "f1", -20.0), reasoning="none")
        traces = lake.snapshot("traces", "sums", "b1")
        said = "run `stillhouse score SPEC --teacher big --reasoning turn`"
        with pytest.raises(SpecError, match=said), stored(lake, traces, "big", reasoning="turn"):
            pass
        self.score(lake, (1, "big", showing("f1", "turn"), None), later=1, reasoning="turn")  # it was asked, and refused
        with stored(lake, traces, "big", reasoning="turn") as found:
            assert firsts(found, [0, 1]) == [-20, None]

    def test_of_an_earlier_version(self, lake: Lake):
        """Scores without the end of a turn count, however rows show reasoning, until there are others; by address they still do."""
        traces = land(lake)
        self.score(lake, (0, "big", "f1aa", -20.0), reasoning=None)
        for how in ("think", "omit"):
            with stored(lake, traces, "big", reasoning=how) as found:
                assert firsts(found, [0]) == [-20]
        self.score(lake, (0, "big", "f2bb", -21.0), later=1)
        for more, first in (({}, -21), ({"fingerprint": "f1aa"}, -20)):
            with stored(lake, traces, "big", **more) as found:
                assert firsts(found, [0]) == [first]

    def test_none(self, lake: Lake):
        """A name that nobody scored by says what to run, and who has."""
        traces = land(lake)
        said = (
            "no trace of this build has a score by 'big' with `reasoning: omit`; "
            "run `stillhouse score SPEC --teacher big --reasoning omit` first"
        )
        with pytest.raises(SpecError, match=f"{said}$"), stored(lake, traces, "big"):
            pass
        self.score(lake, (0, "other", "f1", -20.0))
        with pytest.raises(SpecError, match=f"{said}; there are some by f1 \\(other"), stored(lake, traces, "big"):
            pass
