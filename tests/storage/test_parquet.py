"""Files that are whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import footers
from storage.errors import LakeDamaged, StorageError
from storage.parquet import GROUP_CHARS, PartWriter, count_rows, read_batches, some_rows, write_rows
from tests.fakes import listing
from tests.storage.damaging import flip

SCHEMA = pa.schema([("n", pa.int32()), ("text", pa.string())])


class TestPartWriter:
    """One Parquet file."""

    def test_rows_are_there(self, tmp_path: Path):
        """Every row is written, over as many row groups as it takes, and a missing key is null."""
        with PartWriter(tmp_path / "part.parquet", SCHEMA, row_group=2) as writer:
            for n in range(5):
                writer.write({"n": n})
        file = pq.ParquetFile(tmp_path / "part.parquet")
        assert (file.metadata.num_row_groups, writer.written) == (3, 5)
        assert file.read().to_pylist() == [{"n": n, "text": None} for n in range(5)]

    def test_long_texts(self, tmp_path: Path):
        """Where texts are long a row group has fewer rows, since readers hold a column of one as a whole."""
        schema = pa.schema([("text", pa.string()), ("messages", pa.list_(pa.struct([("content", pa.string())])))])
        with PartWriter(tmp_path / "part.parquet", schema) as writer:
            for n in range(5):
                writer.write({"text": str(n) * (GROUP_CHARS // 4), "messages": [{"content": "x" * (GROUP_CHARS // 4)}]})
        found = pq.read_metadata(tmp_path / "part.parquet")
        assert [found.row_group(number).num_rows for number in range(found.num_row_groups)] == [2, 2, 1]

    @pytest.mark.parametrize("distinct", [True, False])
    def test_hashes_are_not_packed(self, tmp_path: Path, distinct: bool):
        """Binary values that hardly repeat are written as they are, in whatever else zstd goes on."""
        schema = pa.schema([("n", pa.int64()), ("hashes", pa.large_binary())])
        with PartWriter(tmp_path / "part.parquet", schema, distinct=distinct) as writer:
            writer.extend([{"n": 1, "hashes": bytes(1_000)}, {"n": 1, "hashes": b"x"}])
        group = pq.read_metadata(tmp_path / "part.parquet").row_group(0)
        assert [group.column(place).compression for place in (0, 1)] == ["ZSTD", "UNCOMPRESSED" if distinct else "ZSTD"]
        assert pq.read_table(tmp_path / "part.parquet")["hashes"].to_pylist() == [bytes(1_000), b"x"]

    def test_batches_are_cast(self, tmp_path: Path):
        """A batch of another integer width becomes the schema's."""
        batch = pa.RecordBatch.from_pylist([{"n": 1, "text": "a"}], schema=pa.schema([("n", pa.int64()), ("text", pa.string())]))
        with PartWriter(tmp_path / "part.parquet", SCHEMA) as writer:
            writer.write_batch(batch)
        assert writer.written == 1
        assert pq.read_table(tmp_path / "part.parquet").to_pylist() == [{"n": 1, "text": "a"}]

    def test_compressed_with_zstd(self, tmp_path: Path):
        """Parts are zstd, which readers that lack it would refuse rather than misread."""
        write_rows(tmp_path / "part.parquet", SCHEMA, [{"n": 1, "text": "a"}])
        assert pq.read_metadata(tmp_path / "part.parquet").row_group(0).column(0).compression == "ZSTD"

    def test_footer(self, tmp_path: Path):
        """Where it is asked for, the footer is kept beside the file, under a name that the lake's globs don't match."""
        write_rows(tmp_path / "part.parquet", SCHEMA, ({"n": n} for n in range(2_500)), store=True)
        assert listing(tmp_path) == ["_part.footer", "part.parquet"]
        kept = footers.kept(tmp_path / "part.parquet")
        assert kept is not None
        assert (kept.metadata.num_rows, kept.metadata.num_row_groups) == (2_500, 2)

    def test_nothing_left_of_a_footer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Where the disk has no room for the footer, there is no file either."""

        def full(part: Path, target: Path) -> None:
            target.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(footers, "copy", full)
        with pytest.raises(StorageError, match=r"part\.parquet: can't be written: No space"):
            write_rows(tmp_path / "part.parquet", SCHEMA, [{"n": 1}], store=True)
        assert listing(tmp_path) == []

    def test_no_name_before_the_end(self, tmp_path: Path):
        """While it is being written, the file has another name, which the lake's globs don't match."""
        with PartWriter(tmp_path / "part.parquet", SCHEMA) as writer:
            writer.write({"n": 1})
            assert listing(tmp_path) == [".part.parquet.tmp"]
            assert not list(tmp_path.glob("**/*.parquet"))
        assert listing(tmp_path) == ["part.parquet"]

    def test_nothing_left_of_a_failure(self, tmp_path: Path):
        """Where its body raises, neither the file nor its temporary one is left."""
        with pytest.raises(RuntimeError, match="halfway"), PartWriter(tmp_path / "part.parquet", SCHEMA) as writer:  # noqa: PT012
            writer.write({"n": 1})
            raise RuntimeError("halfway")
        assert listing(tmp_path) == []

    def test_nothing_left_of_a_row_that_does_not_fit(self, tmp_path: Path):
        """Where the last rows can't be converted, which shows on leaving, nothing is left either."""
        with pytest.raises(pa.ArrowInvalid), PartWriter(tmp_path / "part.parquet", SCHEMA) as writer:
            writer.write({"n": "many"})
        assert listing(tmp_path) == []

    @pytest.mark.parametrize("batch", [False, True], ids=["rows", "batch"])
    def test_a_disk_that_is_full_for_a_moment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: bool):
        """After a write that the disk refused nothing more is taken, and leaving raises: no file lacks rows in silence."""
        whole = pq.ParquetWriter.write_batch
        answers = iter([None, OSError(errno.ENOSPC, "full")])

        def refusing(*arguments: Any) -> None:
            if error := next(answers, None):
                raise error
            whole(*arguments)

        monkeypatch.setattr(pq.ParquetWriter, "write_batch", refusing)
        full = r"part\.parquet: can't be written: No space left on device"
        with pytest.raises(StorageError, match=full), PartWriter(tmp_path / "part.parquet", SCHEMA, row_group=2) as writer:  # noqa: PT012
            writer.extend([{"n": 1}, {"n": 2}])
            rows = [{"n": 3}, {"n": 4}]
            with pytest.raises(StorageError, match=full):
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA)) if batch else writer.extend(rows)
            for refused in (
                lambda: writer.write({"n": 5}),
                lambda: writer.write_batch(pa.RecordBatch.from_pylist([{"n": 5}], schema=SCHEMA)),
            ):
                with pytest.raises(StorageError, match=full):
                    refused()
        assert listing(tmp_path) == []

    def test_a_file_in_the_way(self, tmp_path: Path):
        """A folder that can't be made is a StorageError that names the file."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match=r"file/part\.parquet: can't be written: "):
            PartWriter(tmp_path / "file" / "part.parquet", SCHEMA)

    def test_a_name_that_is_taken_by_a_folder(self, tmp_path: Path):
        """A rename that the disk refuses is a StorageError, and the temporary file is gone."""
        (tmp_path / "part.parquet").mkdir()
        with pytest.raises(StorageError, match=r"part\.parquet: can't be written: Is a directory"):
            write_rows(tmp_path / "part.parquet", SCHEMA, [{"n": 1}])
        assert listing(tmp_path) == ["part.parquet"]


class TestReading:
    """Files whose bytes the disk may have changed."""

    def test_batches(self, tmp_path: Path):
        """A whole file's rows come so many at a time, and are counted by its footer."""
        path = tmp_path / "part.parquet"
        write_rows(path, SCHEMA, [{"n": n} for n in range(5)])
        assert [batch.num_rows for batch in read_batches(path, rows=2)] == [2, 2, 1]
        assert count_rows(path) == 5

    def test_flipped_bit(self, tmp_path: Path):
        """Parts are written with checksums: a flipped bit, which would unpack to another text, is LakeDamaged."""
        path = tmp_path / "part.parquet"
        write_rows(path, SCHEMA, [{"n": n, "text": f"{n * 7919 % 1000}" * 40} for n in range(500)])
        flip(path, group=0, column="text")
        with pytest.raises(LakeDamaged, match=r"part\.parquet: can't be read: .*CRC.*; `stillhouse doctor --repair`"):
            list(read_batches(path, rows=100))

    @pytest.mark.parametrize("content", [b"", b"PAR1 and no more"], ids=["empty", "cut short"])
    def test_no_footer(self, tmp_path: Path, content: bytes):
        """A file without its footer is LakeDamaged, whether it is counted or read."""
        (tmp_path / "part.parquet").write_bytes(content)
        for look in (count_rows, lambda path: list(read_batches(path, rows=1))):
            with pytest.raises(LakeDamaged, match=r"part\.parquet: can't be read"):
                look(tmp_path / "part.parquet")

    def test_a_name_in_the_footer(self, tmp_path: Path):
        """So is a file of which a column's name is no text any more."""
        path = tmp_path / "part.parquet"
        write_rows(path, SCHEMA, [{"n": 1}])
        path.write_bytes(path.read_bytes().replace(b"text", b"te\x9at"))
        with pytest.raises(LakeDamaged, match=r"part\.parquet: can't be read"):
            count_rows(path)


@pytest.mark.parametrize("at_once", [1, 2, 500])
@pytest.mark.parametrize("wanted", [[], [0], [1, 2, 2, 4], [5, 6], list(range(7))])
def test_some_rows(tmp_path: Path, wanted: list[int], at_once: int):
    """Rows come in their order, as often as they are named, of their row groups alone, however few are read at a time."""
    with PartWriter(tmp_path / "part.parquet", SCHEMA, row_group=2) as writer:
        writer.extend([{"n": n, "text": str(n)} for n in range(2)])
        writer.extend([{"n": n, "text": str(n)} for n in range(2, 5)])
        writer.extend([{"n": n, "text": str(n)} for n in range(5, 7)])
    found = [some.read(["n"], at_once=at_once) for some in some_rows(tmp_path / "part.parquet", np.array(wanted, np.int64))]
    assert [row for table in found for row in table.to_pylist()] == [{"n": n} for n in wanted]
    ends = (2, 5, 7)
    assert len(found) == len({next(number for number, end in enumerate(ends) if n < end) for n in wanted})


def test_some_rows_of_a_damaged_file(tmp_path: Path):
    """A flipped bit among them is told."""
    with PartWriter(tmp_path / "part.parquet", SCHEMA) as writer:
        writer.extend([{"n": n, "text": "some text" * 50} for n in range(50)])
    flip(tmp_path / "part.parquet", group=0, column="text")
    with pytest.raises(LakeDamaged):
        next(some_rows(tmp_path / "part.parquet", np.array([3], np.int64))).read(["text"])
