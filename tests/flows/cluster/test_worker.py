"""What a worker tells its run, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.cluster import worker
from flows.cluster.apart import DRAW
from flows.cluster.notes import Brief
from flows.cluster.worker import Worker
from storage.errors import StorageError
from tasks.stop import Stop

ROW = {"ord": 513, "arm": 0, "sample_index": 0, "bought": True}


@pytest.fixture
def at_work(tmp_path: Path) -> Worker:
    """Return a worker that isn't started."""
    brief = Brief(build_id="b", lake=str(tmp_path), orders=str(tmp_path), spec={}, path="spec.yaml", apart=True)
    made = Worker(tmp_path, brief)
    made._loop.close()
    made._stop, made._ready = Stop(), True
    made.box.asked.mkdir(parents=True)
    return made


class Handing:
    """Stands in for what is judged apart."""

    def __init__(self, at_work: Worker, error: StorageError | None = None) -> None:
        self.error, self.handed = error, list[tuple[int, bool]]()
        self._noted = lambda shard: at_work.box.noted(shard, DRAW).exists()

    def hand_over(self, shard: int) -> None:
        """Note when, and whether the shard was noted before."""
        self.handed.append((shard, self._noted(shard)))
        if self.error is not None:
            raise self.error


def test_handed_over_before_it_is_noted(at_work: Worker) -> None:
    """A shard that is noted can be judged; one that couldn't be handed over isn't noted."""
    at_work._apart = handing = Handing(at_work, StorageError("full"))  # type: ignore[assignment]
    with pytest.raises(StorageError):
        at_work.extend([ROW])
    handing.error = None
    at_work.extend([ROW])
    assert handing.handed == [(1, False), (1, False)]
    assert at_work.box.noted(1, DRAW).exists()


def test_closed(at_work: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that all is landed only where it was."""
    told = list[Any]()
    monkeypatch.setattr(at_work, "_report", lambda *, closed: told.append(closed))
    at_work._report_closed(None, None, None)
    error = StorageError("full")
    at_work._report_closed(StorageError, error, None)
    assert told == [True, False]


def test_a_folder_that_is_not_shared(tmp_path: Path) -> None:
    """A process that doesn't see the run's folder says so; one that sees that the run has ended says that."""
    assert worker.work(str(tmp_path / "elsewhere"), 0, DRAW, 0) == {"unseen": 1}
    assert worker.work(str(tmp_path), 0, DRAW, 0) == {"stopped": 1}
