"""Indexes: derived, added to by each build, and told and put aside where they are damaged."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest

from storage import footers
from storage.damage import examine
from storage.errors import LakeDamaged
from storage.index import Index
from storage.lake import Lake
from storage.repair import repair
from storage.rot import verify
from tests.storage.damaging import fill

SCHEMA = pa.schema([("key", pa.uint64())])


@pytest.fixture
def index(lake: Lake) -> Index:
    """Return an index with a part."""
    fill(lake)
    made = Index(lake, "some-v1", SCHEMA)
    with made.writer("run") as writer:
        writer.write({"key": 7})
    return made


def test_parts(index: Index):
    """Each writer makes another part, and the name says whose; one that fails makes none."""
    with index.writer("run") as writer:
        writer.write({"key": 8})
    with pytest.raises(ZeroDivisionError), index.writer("run"):
        raise ZeroDivisionError
    assert [path.name for path in index.parts] == ["run-000.parquet", "run-001.parquet"]


def test_whole(lake: Lake, index: Index):
    """An index that is whole is nothing to tell of."""
    assert [each for each in examine(lake) if each.kind == "index"] == []


def test_leftovers(lake: Lake, index: Index):
    """What a killed writer left is removed by the next."""
    left = [index.folder / ".run-001.parquet.tmp", index.folder / "_run-002.footer"]
    for path in left:
        path.touch()
    with lake.writing(print):
        assert not any(path.exists() for path in left)
    assert len(index.parts) == 1


def test_damaged(lake: Lake, index: Index):
    """A bit that flips stops the next build with one line; a repair puts the part aside, and nothing is lost."""
    (part,) = index.parts
    os.utime(footers.beside(part), (0, 0))
    content = bytearray(part.read_bytes())
    content[20] ^= 1
    part.write_bytes(content)
    with pytest.raises(LakeDamaged, match=r"run-000\.parquet: isn't byte for byte what was written; `stillhouse doctor"):
        verify(lake, print)
    (found,) = [each for each in examine(lake) if each.kind == "index"]
    assert (found.path, found.damaged) == (part, True)
    done = repair(lake)
    assert done.moved[part].is_file()
    assert index.parts == []
    assert [each for each in examine(lake) if each.damaged] == []
    verify(lake, print)


def test_deleted_footer(lake: Lake, index: Index):
    """A part that can't be read at all is found without what is kept beside it."""
    (part,) = index.parts
    footers.beside(part).unlink()
    part.write_bytes(part.read_bytes()[:-9])
    assert [each.kind for each in examine(lake) if each.damaged] == ["index"]
