"""Lines that tell whether they are whole."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from storage.lines import pack, put, unpack
from tests.fakes import make_sample, make_verdict


@pytest.mark.parametrize("record", [make_sample("a", response="ä\n\0"), make_verdict("a", reason='"{"'), {"a": [1, None]}])
def test_there_and_back(record: object) -> None:
    """A record is one line, and what it says comes back."""
    line = pack(record)
    assert line.count(b"\n") == 1
    found = unpack(line)
    assert found == record or found["sample_id"] == record.sample_id  # type: ignore[attr-defined,index]


def test_what_is_not_whole() -> None:
    """Whatever part of a line is missing or flipped, it says nothing."""
    line = pack({"response": "The answer is 7."})
    assert not any(unpack(line[:end]) for end in range(len(line)))
    flipped = (line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :] for at in range(len(line)))
    assert not any(unpack(each) for each in flipped)
    assert unpack(b"%08x not JSON\n" % zlib.crc32(b"not JSON")) is None


def test_put_over_what_was_refused(tmp_path: Path) -> None:
    """What a refused write left is written over, and cut off where it was longer."""
    with (tmp_path / "file").open("wb", buffering=0) as file:
        at = put(file, 0, b"first\n")
        file.write(b"half of a line that is long")
        assert put(file, at, b"second\n") == 13
    assert (tmp_path / "file").read_bytes() == b"first\nsecond\n"
