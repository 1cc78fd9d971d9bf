"""Judging apart from drawing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.cluster.apart import Apart
from storage.errors import StorageError
from storage.identity import check_inputs
from storage.lake import Lake
from storage.records import Prompt, Sample
from storage.rows import sample_of
from tasks.orders import Ordered, Staged
from tasks.verify import Case, Rule
from tests.fakes import make_prompt, make_verdict, named
from tests.tasks.house import Spec, house


@pytest.fixture
def seen() -> list[str]:
    """Note whose prompts checks were of."""
    return []


@contextlib.asynccontextmanager
async def drawn(lake: Lake, folder: Path, seen: list[str], prompts: Sequence[Prompt]) -> AsyncIterator[tuple[Apart, Rule]]:
    """Draw a shard, and hand it over."""

    def check(prompt: Prompt, sample: Sample) -> bool:
        seen.append(prompt.prompt_id)
        return prompt.prompt_id != "2-b"

    async with house(lake, Spec(prompts=prompts, verifiers=[named(judge=check)])) as one:
        await one.prepare()
        assert await one.open() == [0]
        Staged(one.workspace).write(0, Ordered(folder).path(0))
        assert one.shards is not None
        apart = one.shards.verification = Apart(folder, one.verification)
        apart.expect(0)
        await one.work(0)
        assert seen == []
        apart.hand_over(0)
        yield apart, one.shards.rule


PROMPTS = [make_prompt(text, prompt_id=f"{number}-{text}") for number, text in enumerate("aab")]


async def test_each_for_its_prompt(lake: Lake, tmp_path: Path, seen: list[str]) -> None:
    """Nothing is judged where it is drawn; later each sample is, for each prompt that has it."""
    async with drawn(lake, tmp_path, seen, PROMPTS) as (apart, rule):
        assert await apart.judge_shard(0, {}, rule) == apart.tally == {"judged": 3, "accepted": 2}
    assert sorted(seen) == ["0-a", "1-a", "2-b"]


async def test_what_a_lost_worker_judged(lake: Lake, tmp_path: Path, seen: list[str]) -> None:
    """A verdict that is there counts, and isn't reached again: it may have been paid for. One on another prompt doesn't."""
    async with drawn(lake, tmp_path, seen, PROMPTS[1:]) as (apart, rule):
        (print_,) = apart.fingerprints
        (_, sample), *_ = [
            (row["prompt_id"], row["sample_id"]) for row in pq.read_table(tmp_path / "000000.drawn.parquet").to_pylist()
        ]
        known = make_verdict(sample, passed=False, fingerprint=print_, inputs=check_inputs(PROMPTS[1]))
        assert await apart.judge_shard(0, {sample: [known]}, rule) == {"judged": 2, "accepted": 0}
        assert seen == ["2-b"]
        other = make_verdict(sample, passed=False, fingerprint=print_, inputs="another prompt's")
        assert await apart.judge_shard(0, {sample: [other]}, rule) == {"judged": 2, "accepted": 1}


async def test_a_disk_that_refuses(lake: Lake, tmp_path: Path, seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What couldn't be handed over is kept, so that a retry hands it over, and nothing is bought again for it."""

    def refuse(*_: object) -> None:
        raise StorageError("full")

    path = tmp_path / "000000.drawn.parquet"
    async with drawn(lake, tmp_path, seen, PROMPTS) as (apart, _):
        prompts, rows = [prompt for _, prompt in Ordered(tmp_path).load(0)[0]], pq.read_table(path).to_pylist()
        path.unlink()
        apart.expect(0)
        for prompt, row in zip(prompts, rows, strict=True):
            await apart.judge(prompt, [Case(sample=sample_of(row))])
        with monkeypatch.context() as patched:
            patched.setattr("flows.cluster.apart.write_rows", refuse)
            with pytest.raises(StorageError):
                apart.hand_over(0)
        apart.hand_over(0)
        assert pq.read_table(path).to_pylist() == rows
