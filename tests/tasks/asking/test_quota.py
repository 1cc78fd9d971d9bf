"""What a teacher may be asked in a day."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from storage.errors import QuotaSpent, StorageError
from tasks.asking.quota import Quota
from tasks.teachers.options import LimitOptions
from tests.fakes import full


def quota(path: Path, *, day: int = 1, **limits: int) -> Quota:
    """Return a quota as one run would open it."""
    return Quota(path / "account-day", LimitOptions(**limits), today=lambda: day)


def test_requests(tmp_path: Path):
    """The day's requests are counted over runs, and the one that is too many isn't sent."""
    quota(tmp_path, requests_per_day=3).take(10)
    again = quota(tmp_path, requests_per_day=3)
    again.take(10)
    again.take(10)
    for _ in range(2):
        with pytest.raises(QuotaSpent, match="the 3 of today are used; a rerun after 00:00 UTC goes on"):
            again.take(10)


def test_tokens(tmp_path: Path):
    """Tokens are reserved by estimate, and settled by what was used."""
    one = quota(tmp_path, tokens_per_day=100)
    one.take(60)
    with pytest.raises(QuotaSpent, match="tokens_per_day"):
        one.take(60)
    one.settle(-30)
    one.take(60)


def test_tokens_that_are_being_settled(tmp_path: Path):
    """Where requests under way may use less than is reserved, nothing is counted, and nobody is told that the day has ended."""
    one = quota(tmp_path, tokens_per_day=100)
    assert one.take(100)
    assert not one.take(60, settling=True)
    assert not one.check(settling=True)
    one.settle(-70)
    assert one.take(60, settling=True)


def test_a_request_larger_than_the_day(tmp_path: Path):
    """It would never be sent, on no day, and the line says so."""
    with pytest.raises(QuotaSpent, match="one request may take 8,000 tokens, and 5,000 are for a whole day"):
        quota(tmp_path, tokens_per_day=5_000).take(8_000)


def test_tomorrow(tmp_path: Path):
    """A new day begins at nothing."""
    quota(tmp_path, requests_per_day=1).take(1)
    quota(tmp_path, day=2, requests_per_day=1).take(1)
    with pytest.raises(QuotaSpent):
        quota(tmp_path, day=2, requests_per_day=1).take(1)


def test_a_clock_that_is_set_back(tmp_path: Path):
    """Around midnight, a clock that is set back a little doesn't give the day away again."""
    quota(tmp_path, day=2, requests_per_day=1).take(1)
    with pytest.raises(QuotaSpent):
        quota(tmp_path, day=1, requests_per_day=1).take(1)


def test_a_clock_that_is_set_back_and_comes_again(tmp_path: Path):
    """Each day has its own count, whichever of them a clock shows."""
    quota(tmp_path, day=1, requests_per_day=3).take(1)
    quota(tmp_path, day=2, requests_per_day=3).take(1)
    quota(tmp_path, day=1, requests_per_day=3).take(1)
    with pytest.raises(QuotaSpent):
        quota(tmp_path, day=1, requests_per_day=3).take(1)
    for _ in range(2):
        quota(tmp_path, day=2, requests_per_day=3).take(1)
    with pytest.raises(QuotaSpent):
        quota(tmp_path, day=2, requests_per_day=3).take(1)


@pytest.mark.parametrize("ahead", [2, 3, 30, 4_000])
def test_a_clock_that_was_days_ahead(tmp_path: Path, ahead: int):
    """What was counted by it, and before it was wrong, counts today; the days that follow begin at nothing."""
    for day in (10, 10 + ahead, 10):
        quota(tmp_path, day=day, requests_per_day=3).take(1)
    with pytest.raises(QuotaSpent):
        quota(tmp_path, day=10, requests_per_day=3).take(1)
    for day in range(11, 10 + 2 * min(ahead, 5)):
        for _ in range(3):
            quota(tmp_path, day=day, requests_per_day=3).take(1)
        with pytest.raises(QuotaSpent):
            quota(tmp_path, day=day, requests_per_day=3).take(1)


def test_what_is_given_back_on_another_day(tmp_path: Path):
    """It is given back to the day on which it was taken, and what is to be added is today's."""
    days = [1]
    one = Quota(tmp_path / "account-day", LimitOptions(tokens_per_day=100), today=lambda: days[0])
    one.take(60)
    days[0] = 2
    one.take(100)
    one.settle(-60, since=1)
    with pytest.raises(QuotaSpent):
        one.check()
    days[0] = 1
    one.settle(-100, since=2)
    assert one.take(100)


def test_a_file_of_an_earlier_version(tmp_path: Path):
    """It has one day."""
    (tmp_path / "account-day").write_bytes(struct.pack("<qqq", 1, 2, 50))
    quota(tmp_path, requests_per_day=3).take(1)
    with pytest.raises(QuotaSpent):
        quota(tmp_path, requests_per_day=3).take(1)


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is one line before anything is asked, and no defect in mid-run."""
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError, match="No space left on device"):
        quota(tmp_path, requests_per_day=1)


def test_a_folder_that_cannot_be(tmp_path: Path):
    """A place that can't be written is one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        quota(tmp_path / "file", requests_per_day=1)
