"""Batches: every conversation once an epoch, in an order that the seed decides, and from any place on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.distillation import batches as module
from tasks.distillation.batches import Batch, Batches
from tasks.distillation.shards import index
from tests.tasks.distillation.tokens import conversations, write


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch):
    """Have several windows and pools."""
    monkeypatch.setattr(module, "WINDOW_TOKENS", 400)
    monkeypatch.setattr(module, "POOL", 3)


def made(folder: Path, *, top: int = 0, seed: int | None = 0, tokens: int = 100) -> Batches:
    """Return the batches of a hundred conversations."""
    if not (folder / "a.parquet").exists():
        write(folder / "a.parquet", conversations(100, top=top))
    return Batches(index=index([folder / "a.parquet"]), tokens=tokens, seed=seed)


def shown(batch: Batch) -> list[list[int]]:
    """Return a batch as plain lists."""
    return [batch.tokens.tolist(), batch.places.tolist(), batch.targets.tolist()]


def test_everything_once_an_epoch(tmp_path: Path):
    """All that is learnt is in exactly one batch, and no batch has more tokens than asked."""
    batches = made(tmp_path)
    for epoch in range(2):
        found = list(batches.epoch(epoch))
        assert len(found) == batches.count(epoch)
        assert sum(len(batch.tokens) for batch in found) == 100
        assert max(batch.tokens.size for batch in found) <= 100
        targets = np.concatenate([batch.targets for batch in found])
        rows = conversations(100)
        assert sorted(targets.tolist()) == sorted(label for row in rows for label in row["labels"] if label != -100)


def test_what_is_predicted_follows(tmp_path: Path):
    """A place is that of the token before its target."""
    for batch in made(tmp_path).epoch(0):
        before = batch.tokens.reshape(-1)[batch.places]
        assert ((before * 5 + 3) % 64 == batch.targets).all()


def test_seed_and_epoch_decide(tmp_path: Path):
    """The same order for the same seed and epoch, another for another."""
    first = [shown(batch) for batch in made(tmp_path).epoch(0)]
    assert first == [shown(batch) for batch in made(tmp_path).epoch(0)]
    assert first != [shown(batch) for batch in made(tmp_path).epoch(1)]
    assert first != [shown(batch) for batch in made(tmp_path, seed=1).epoch(0)]


@pytest.mark.parametrize("skip", [0, 1, 5, 11, 1000])
def test_from_any_place_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skip: int):
    """What was passed over isn't even read where a whole window of it was."""
    batches = made(tmp_path)
    whole = [shown(batch) for batch in batches.epoch(1)]
    asked = []
    monkeypatch.setattr(module, "read", lambda block, read=module.read: asked.append(block) or read(block))
    assert [shown(batch) for batch in batches.epoch(1, skip=skip)] == whole[skip:]
    assert len(asked) < len(batches.index.blocks) or skip < 10


def test_little_padding(tmp_path: Path):
    """Conversations of like length stand together."""
    batches = made(tmp_path, tokens=200)
    held = sum(batch.tokens.size for batch in batches.epoch(0))
    assert batches.index.lengths.sum() / held > 0.8


def test_a_long_one_is_alone(tmp_path: Path):
    """A conversation of more tokens than a batch has is a batch."""
    batches = made(tmp_path, tokens=5)
    assert all(len(batch.tokens) == 1 for batch in batches.epoch(0))
    assert batches.count(0) == 100


def test_what_has_nothing_to_learn_is_left_out(tmp_path: Path):
    """As its labels are masked, all of them."""
    rows = conversations(10)
    rows[3]["labels"] = [-100] * rows[3]["length"]
    write(tmp_path / "a.parquet", rows)
    batches = Batches(index=index([tmp_path / "a.parquet"]), tokens=100)
    assert batches.index.usable == 9
    assert sum(len(batch.tokens) for batch in batches.epoch(0)) == 9


def test_alternatives_stand_at_their_places(tmp_path: Path):
    """A place has the distribution that its target was drawn from; what fills up is -inf."""
    rows = conversations(12, top=3)
    for number, row in enumerate(rows):
        if number % 3 == 0:
            row["top_ids"][-1], row["top_logprobs"][-1] = None, None
        if number % 3 == 1:
            row["top_ids"][-1], row["top_logprobs"][-1] = row["top_ids"][-1][:1], row["top_logprobs"][-1][:1]
    write(tmp_path / "a.parquet", rows)
    seen = {0: 0, 1: 0, 3: 0}
    for batch in Batches(index=index([tmp_path / "a.parquet"]), tokens=100).epoch(0):
        assert batch.ids is not None
        assert batch.logprobs is not None
        known = batch.logprobs > -np.inf
        for target, ids, row in zip(batch.targets, batch.ids, known, strict=True):
            assert ids[row].tolist() == [(target + other * 7) % 64 for other in range(3)][: row.sum()]
            seen[int(row.sum())] += 1
    assert seen[0] == 4
    assert seen[1] == 4
