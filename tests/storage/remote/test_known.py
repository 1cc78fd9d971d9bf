"""What a working copy remembers of its store, and which files are the store's at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.remote import layout
from storage.remote.known import Known


def test_remembers(tmp_path: Path):
    """The last agreement on a path counts, one that was ended is none, and a line that a crash tore is left out."""
    file, notes = tmp_path / "file", tmp_path / "own" / "known.jsonl"
    file.write_text("x")
    known = Known(notes)
    known.add("waste/a.jsonl", file.stat(), '"1"')
    known.add("waste/a.jsonl", file.stat(), '"2"')
    known.add("waste/b.jsonl", file.stat(), None)
    known.remove("waste/b.jsonl")
    with notes.open("ab") as torn:
        torn.write(b'["waste/c.jsonl", 1')
    again = Known(notes)
    assert list(again) == ["waste/a.jsonl"]
    agreed = again.get("waste/a.jsonl")
    assert agreed is not None
    assert (agreed.size, agreed.etag) == (1, '"2"')


def test_tells_changes(tmp_path: Path):
    """A file that grew or was written again has changed; a part whose time alone is another has not."""
    file = tmp_path / "file"
    file.write_text("x")
    known = Known(tmp_path / "known.jsonl")
    for path in ("waste/a.jsonl", "samples/a.parquet"):
        known.add(path, file.stat(), None)
        assert known.unchanged(path, file)
    file.write_text("y")
    assert not known.unchanged("waste/a.jsonl", file)
    assert known.unchanged("samples/a.parquet", file)
    file.write_text("yz")
    assert not known.unchanged("samples/a.parquet", file)


def test_forgets_history(tmp_path: Path):
    """A file that is mostly history is written anew, and says the same."""
    file, notes = tmp_path / "file", tmp_path / "known.jsonl"
    file.write_text("x")
    known = Known(notes)
    for number in range(200):
        known.add("waste/a.jsonl", file.stat(), str(number))
    again = Known(notes)
    again.compact()
    assert len(notes.read_text().splitlines()) == 1
    assert Known(notes).get("waste/a.jsonl") == known.get("waste/a.jsonl")


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("samples/r-000000.parquet", True),
        ("samples/_empty.parquet", True),
        ("journal/batches/k.json", True),
        ("quarantine/t/samples/r.parquet", True),
        ("journal/r-000000.jsonl", False),
        ("journal/lock", False),
        ("journal/reserve", False),
        ("catalog.duckdb", False),
        (".staging/b/work.duckdb", False),
        (".replica/known.jsonl", False),
        ("samples/.r-000000.parquet.tmp", False),
    ],
)
def test_what_is_the_stores(path: str, shared: bool):
    """Tables, manifests and notes are; journals, locks, the catalog, and what isn't finished are this machine's."""
    assert layout.shared(path) is shared


def test_order(tmp_path: Path):
    """Parts go before snapshots, and manifests last."""
    for path in (
        "manifests/builds/b.json",
        "traces/dataset=d/build=b/part-00000.parquet",
        "samples/r.parquet",
        "journal/r.jsonl",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert layout.files(tmp_path) == [
        "samples/r.parquet",
        "traces/dataset=d/build=b/part-00000.parquet",
        "manifests/builds/b.json",
    ]
