"""A rate, kept by one process or by several."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from storage.errors import StorageError
from tasks.asking.pace import BURST_S, Pace, Shared, open_cells
from tests.fakes import full


def turns(pace: Pace, number: int, *, since: float, amount: float = 1) -> list[float]:
    """Return for how long each of so many requests waits that are all there at `since`."""
    now, waits = since, []
    for _ in range(number):
        while (wait := pace.take(amount, now)) > 0:
            now += wait
        waits.append(now - since)
    return waits


class TestPace:
    """One rate."""

    def test_none(self):
        """0 is no limit."""
        pace = Pace(0)
        assert turns(pace, 3, since=0.0, amount=10**9) == [0.0, 0.0, 0.0]

    def test_even(self):
        """After a burst of half a second, each gets its turn evenly."""
        pace = Pace(120)
        assert turns(pace, 6, since=100.0) == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2.0])

    def test_idle_time_is_no_allowance(self):
        """However long nothing was asked, no more than half a second's worth is given at once."""
        pace = Pace(120)
        turns(pace, 1, since=0.0)
        assert turns(pace, 4, since=3_600.0) == pytest.approx([0, 0, 0.5, 1.0])

    @pytest.mark.parametrize(("difference", "wait"), [(60, 60.5), (-30, 0.0), (-60, 0.0), (0, 0.5)])
    def test_settle(self, difference: int, wait: float):
        """What was used beyond the reservation puts off the next; what was not used gives it back."""
        pace = Pace(60)
        turns(pace, 1, since=0.0)
        pace.settle(difference, 0.0)
        assert turns(pace, 1, since=0.0) == pytest.approx([wait])

    def test_an_idle_while_swallows_no_debt(self):
        """What turns out to have been used is owed, however long nothing else was asked meanwhile."""
        pace = Pace(60)
        turns(pace, 1, since=0.0)
        pace.settle(30, 3_600.0)
        assert turns(pace, 1, since=3_600.0) == pytest.approx([29.5])


class TestFollow:
    """What the server says of its limit."""

    def test_where_none_is_given(self):
        """The server's limit holds."""
        pace = Pace(0)
        pace.follow(120)
        assert pace.per_minute == pytest.approx(120)
        assert turns(pace, 3, since=100.0) == pytest.approx([0, 0, 0.5])

    @pytest.mark.parametrize(("given", "said", "holds"), [(60, 600, 60), (600, 60, 60)])
    def test_the_lower_of_two(self, given: float, said: float, holds: float):
        """A spec may ask for less than the server allows, and not for more."""
        pace = Pace(given)
        pace.follow(said)
        assert pace.per_minute == pytest.approx(holds)

    def test_may_rise_again(self):
        """A server that allows more later is used for it, up to what the spec says."""
        pace = Pace(600)
        pace.follow(60)
        pace.follow(6_000)
        assert pace.per_minute == pytest.approx(600)


def _reserve(folder: str, number: int, waits: multiprocessing.Queue[list[float]]) -> None:
    (cell,) = open_cells(Path(folder), "account", 1)
    pace = Pace(6_000, cell)
    taken = []
    for _ in range(number):
        while (wait := pace.take(1, time.monotonic())) > 0:
            time.sleep(wait)
        taken.append(time.monotonic())
    waits.put(taken)


class TestShared:
    """Cells in a file."""

    def test_processes_share_one_rate(self, tmp_path: Path):
        """Three processes get turns that never come closer than one account's rate allows."""
        context = multiprocessing.get_context("spawn")
        waits: multiprocessing.Queue[list[float]] = context.Queue()
        processes = [context.Process(target=_reserve, args=(str(tmp_path), 50, waits)) for _ in range(3)]
        for process in processes:
            process.start()
        taken = sorted(turn for _ in processes for turn in waits.get(timeout=60))
        for process in processes:
            process.join()
        assert len(taken) == 150
        # A burst of half a second at most, whenever each of them began.
        assert taken[-1] - taken[0] >= 1.5 - BURST_S - 0.02

    def test_accounts_are_apart(self, tmp_path: Path):
        """Another account has a rate of its own."""
        (one,), (other,) = open_cells(tmp_path, "one", 1), open_cells(tmp_path, "other", 1)
        assert one.take(10.0, 5.0) == 0
        assert one.take(10.0, 5.0) == 4.5
        assert other.take(10.0, 5.0) == 0

    def test_requests_and_tokens_are_apart(self, tmp_path: Path):
        """The cells of one account don't move each other."""
        requests, tokens = open_cells(tmp_path, "one", 2)
        requests.take(10.0, 5.0)
        assert isinstance(tokens, Shared)
        assert tokens.take(1.0, 1.0) == 0

    def test_a_disk_that_is_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """It is one line before anything is asked, and no defect in mid-run."""
        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StorageError, match="No space left on device"):
            open_cells(tmp_path, "one", 2)

    def test_a_folder_that_cannot_be(self, tmp_path: Path):
        """A place that can't be written is one line."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="can't be written"):
            open_cells(tmp_path / "file", "one", 1)
