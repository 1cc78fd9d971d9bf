"""URLs as sources, through fsspec: the same forms, patterns and folders as on this machine."""

from __future__ import annotations

import contextlib
import functools
import gzip
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from zipfile import ZipFile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SetupError, SourceError
from tasks.sources.shown import shown
from tests.loopback import Server
from tests.tasks.sources.house import jsonl, read, text, texts

LINE = b'{"prompt": "%s"}\n'


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """Return fsspec's file system in memory, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


class TestMemory:
    """`memory://` stands for whatever has folders: s3, gs, hf."""

    def test_file(self, memory: fsspec.AbstractFileSystem):
        """A file is named by its URL, also in messages."""
        memory.pipe_file("/x/p.jsonl.gz", gzip.compress(LINE % b"a" + b"[]\n"))
        with pytest.raises(SourceError, match=r"^memory://x/p\.jsonl\.gz:2: a line must be a JSON object"):
            read("memory://x/p.jsonl.gz")
        (one,) = read("memory://x/p.jsonl.gz", limit=1)
        assert (one.prompt.source, one.place) == ("memory://x/p.jsonl.gz", "memory://x/p.jsonl.gz:1")

    def test_pattern(self, memory: fsspec.AbstractFileSystem):
        """A pattern takes its files in the order of their names."""
        for name in ("b", "a", "c/d"):
            memory.pipe_file(f"/x/{name}.jsonl", LINE % name.encode())
        assert texts("memory://x/*.jsonl") == ["a", "b"]
        assert texts("memory://x/**/*.jsonl") == ["a", "b", "c/d"]
        with pytest.raises(SourceError, match=r"^memory://x/\*\.csv: no such file$"):
            read("memory://x/*.csv")

    def test_folder(self, memory: fsspec.AbstractFileSystem):
        """A folder has splits as one on this machine has."""
        for split in ("train", "test"):
            memory.pipe_file(f"/x/data/{split}-00000-of-00001.jsonl", LINE % split.encode())
        (one,) = read("memory://x", split="test")
        assert (one.prompt.prompt, one.place) == ("test", "memory://x/data/test-00000-of-00001.jsonl:1")

    def test_parquet(self, memory: fsspec.AbstractFileSystem):
        """Tables are read through it too."""
        with memory.open("/x/p.parquet", "wb") as file:
            pq.write_table(pa.table({"prompt": ["a"]}), file)
        assert texts("memory://x/p.parquet") == ["a"]

    @pytest.mark.parametrize("url", ["memory://x/none.jsonl", "memory://x/none.parquet"])
    def test_missing(self, memory: fsspec.AbstractFileSystem, url: str):
        """A file that isn't there is told."""
        with pytest.raises(SourceError, match=rf"^{url}: no such file$"):
            read(url)

    def test_no_file_of_ours(self, memory: fsspec.AbstractFileSystem):
        """Nor can it be read where its ending says nothing."""
        memory.pipe_file("/x/p", b"")
        with pytest.raises(SourceError, match=r"^memory://x/p: can't read a file without an ending"):
            read("memory://x/p")

    def test_no_folder(self, memory: fsspec.AbstractFileSystem):
        """A folder that isn't there is no file without an ending."""
        with pytest.raises(SourceError, match=r"^memory://none: no such file or folder$"):
            read("memory://none")

    def test_within_an_archive(self, tmp_path: Path):
        """What is in an archive is read, and an archive that isn't there is told."""
        with ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("p.jsonl", '{"prompt": "a"}\n')
        assert texts(f"zip://p.jsonl::{tmp_path}/a.zip") == ["a"]
        with pytest.raises(SourceError, match=r"^zip://p\.jsonl::.*none\.zip: can't be read: No such file or directory$"):
            read(f"zip://p.jsonl::{tmp_path}/none.zip")


class TestProtocols:
    """What isn't there says what to do."""

    def test_package(self):
        """A protocol whose package isn't installed says which it needs."""
        with pytest.raises(
            SetupError, match=r"^gs://b/p\.jsonl: gs:// needs a package that isn't installed: Please install gcsfs"
        ):
            read("gs://b/p.jsonl")

    def test_name_on_the_hub(self):
        """A dataset is called as people call it: a line says how it is reached."""
        with pytest.raises(
            SourceError, match=r"^openai/gsm8k: no such file .*; a dataset of the Hub is called hf://datasets/openai/gsm8k$"
        ):
            read("openai/gsm8k")

    def test_unknown(self):
        """A protocol that nobody knows is told."""
        with pytest.raises(SourceError, match=r"^htps://x/p\.jsonl: htps:// isn't known; use a path, https://, s3://"):
            read("htps://x/p.jsonl")

    @pytest.mark.parametrize("url", ["ftp://me:secret@host/p.jsonl", "https://secret@host/p.jsonl"])
    def test_password(self, url: str):
        """A password in a URL, or a token, would get into the lake: it is refused, and not said again."""
        with pytest.raises(SourceError, match=r"^\w+://…@host/p\.jsonl: a password or a token has no place in a spec") as caught:
            read(url)
        assert "secret" not in str(caught.value)

    def test_file(self, tmp_path: Path):
        """`file://` is this machine."""
        assert texts(f"file://{jsonl(tmp_path, {'prompt': 'a'})}") == ["a"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Return the address of a web server of the folder."""
    with serving(tmp_path, _Quiet) as address:
        yield address


@contextlib.contextmanager
def serving(folder: Path, handler: type[_Quiet]) -> Iterator[str]:
    """Give the address of a web server of a folder."""
    with Server(functools.partial(handler, directory=str(folder))) as server:
        yield server.url


def test_http(tmp_path: Path, site: str):
    """A file of the web is read as it comes, whatever its query; one that isn't there is told."""
    jsonl(tmp_path, {"prompt": "a"}, {"prompt": "b"})
    text(tmp_path, "prompt\nc\n", "p.csv")
    assert texts(f"{site}/p.jsonl?download=true") == ["a", "b"]
    assert texts(f"{site}/p.csv") == ["c"]
    with pytest.raises(SourceError, match=rf"^{site}/none\.jsonl: no such file$"):
        read(f"{site}/none.jsonl")


class _Refusing(_Quiet):
    def send_head(self) -> None:
        self.send_error(403)


@pytest.mark.parametrize("name", ["none.jsonl", "none.parquet", "none", "x*.jsonl", "broken.jsonl", "broken.jsonl.gz"])
@pytest.mark.parametrize("handler", [_Quiet, _Refusing])
def test_a_query_is_not_said(tmp_path: Path, name: str, handler: type[_Quiet]):
    """A query may have a token in it: no message has it, ours or a library's."""
    if "broken" in name:
        text(tmp_path, "[]", name)
    with serving(tmp_path, handler) as site, pytest.raises(SourceError) as caught:
        read(f"{site}/{name}?token=s%2Fe%20same&n=1")
    assert str(caught.value).startswith(f"{site}/{name}?…:")
    assert "same" not in str(caught.value)


def test_options_and_protocols_say_no_query(tmp_path: Path, site: str):
    """Nor does an option that doesn't fit, a file without prompts, a protocol that nobody knows, or a server that isn't there."""
    text(tmp_path, "", "p.jsonl")
    options: dict[str, str] = {"split": "train"}
    for url, more in (
        (f"{site}/p.jsonl?token=sesame", options),
        (f"{site}/p.jsonl?token=sesame", {}),
        (f"nosuch::{site}/p.jsonl?token=sesame", {}),
        ("http://127.0.0.1:1/p.jsonl?token=sesame", {}),
    ):
        with pytest.raises(SourceError) as caught:
            read(url, **more)
        assert "p.jsonl?…: " in str(caught.value)
        assert "sesame" not in str(caught.value)


def test_what_is_a_query():
    """Of the web's URLs, wherever they stand in a text; a pattern's question mark is no query."""
    assert shown("GET 'HTTPS://x/p?token=a&b=c' failed") == "GET 'HTTPS://x/p?…' failed"
    assert shown("zip://*.csv::https://x/p.zip?a") == "zip://*.csv::https://x/p.zip?…"
    for text_ in ("s3://b/part-?.jsonl", "part-?.jsonl", "https://x/p", "why? https://x/p"):
        assert shown(text_) == text_


def test_nobody_there():
    """A server that doesn't answer is one line, and not a file that is missing."""
    with pytest.raises(SourceError, match=r"^http://127\.0\.0\.1:1/p\.jsonl: can't be reached: .*127\.0\.0\.1:1"):
        read("http://127.0.0.1:1/p.jsonl")


def test_a_folder_below_that_can_t_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is an error: without it, the dataset would silently be a smaller one."""
    jsonl(tmp_path, {"prompt": "a"})

    def scandir(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(SourceError, match=rf"^{tmp_path}: can't be read: Permission denied$"):
        read(tmp_path)
