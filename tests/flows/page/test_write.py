"""The page: one file, whole or absent, that holds what the build is made of and samples to read."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from flows.page.samples import Index
from flows.page.write import write_page
from storage.errors import SpecError, StorageError
from storage.lake import Lake
from tasks.browse.entries import Entry
from tests.fakes import make_prompt, named
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS, spec
from tests.tasks.house import Spec

ROOT = Path(__file__).parents[3]


async def landed(lake: Lake, folder: Path, given: Spec, **said: Any) -> None:
    """Land a build with its verifiers named."""
    verifiers = [{"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in given.verifiers]
    await land(lake, given, "1", folder, COUNTS | {"verifiers": verifiers} | said)


def unpacked(text: str) -> Any:
    """Return what the page's script unpacks."""
    return json.loads(zlib.decompress(base64.b64decode(text), wbits=-zlib.MAX_WBITS))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Return a page's facts, its index, and its texts by prompt."""
    page = path.read_text(encoding="utf-8")
    facts = json.loads(re.findall(r'id="facts">(.*?)</script>', page)[0])
    index = unpacked(re.findall(r'id="index">(.*?)</script>', page)[0])
    chunks = re.findall(r'class="texts" data-first="(\d+)">(.*?)</script>', page)
    texts: list[dict[str, Any]] = []
    for first, chunk in chunks:
        assert int(first) == len(texts)
        texts += unpacked(chunk)
    return facts, index, texts


async def test_what_is_in_it(lake: Lake, tmp_path: Path):
    """Facts are those of `report --json`; every sample is there with its text, its verdicts and how it ended."""
    await landed(lake, tmp_path, spec(), spec={"sampling": {"k": 2}, "teachers": [{"name": "smol", "api_key_env": "KEY"}]})
    page = write_page(lake, "d", None, tmp_path / "deep" / "page.html")
    assert (page.samples, page.slots, page.prompts, page.build_id) == (6, 6, 3, "1")
    assert page.bytes == page.path.stat().st_size
    facts, index, texts = read(page.path)
    assert facts["by_verifier"]["check"]["failed"] == 2
    assert facts["asked"] == {"sampling": {"k": 2}, "teachers": [{"name": "smol"}]}
    assert index["id"] == ["a", "b", "c"]
    assert index["first"] == [0, 2, 4]
    assert [index["ends"][end][0] for end in index["end"]] == ["kept"] * 4 + ["rejected"] * 2
    assert [index["failures"][each] for each in index["failed"]] == [[], [], [], [], [0], [0]]
    assert [[index["tags"][tag] for tag in tags] for tags in index["tagged"]][1] == [["topic", "odds"]]
    assert texts[1]["prompt"] == "b"
    assert [each["response"] for each in texts[1]["samples"]] == ["b #0", "b #1"]
    assert texts[2]["samples"][0]["verdicts"] == [[0, False, 0.0, ""]]


async def test_the_same_build_gives_the_same_page(lake: Lake, tmp_path: Path):
    """Written again, it is the same byte for byte."""
    await landed(lake, tmp_path, spec())
    pages = [write_page(lake, "d", None, tmp_path / f"{name}.html").path.read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


async def test_a_bound(lake: Lake, tmp_path: Path):
    """No more samples than wanted are in it, of whole prompts, and it says of how many they are."""
    await landed(lake, tmp_path, Spec(prompts=[make_prompt(f"p{n}") for n in range(50)], k=2))
    page = write_page(lake, "d", None, tmp_path / "page.html", samples=21)
    assert (page.samples, page.slots, page.prompts) == (20, 100, 10)
    facts, index, texts = read(page.path)
    assert facts["embedded"] == {"samples": 20, "prompts": 10, "bound": 21}
    assert len(texts) == len(index["id"]) == 10
    assert "20 of 100 samples" in page.line()


async def test_many_reasons(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of many reasons the most frequent are listed, and the others add up in one row: none disappears."""
    monkeypatch.setattr("flows.page.write.REASONS", 2)
    checks = [named(f"check{n}", lambda prompt, sample, n=n: prompt.prompt_id != f"p{n}") for n in range(5)]
    await landed(lake, tmp_path, Spec(prompts=[make_prompt(f"p{n}", prompt_id=f"p{n}") for n in range(5)], verifiers=checks))
    facts, _, _ = read(write_page(lake, "d", None, tmp_path / "page.html").path)
    assert [each["kind"] for each in facts["rejections"]] == ["check0", "check1", "3 other reasons"]
    assert sum(each["slots"] for each in facts["rejections"]) == 5


async def test_many_chunks(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Texts are packed a chunk at a time, and each chunk says which prompt it begins with."""
    monkeypatch.setattr("flows.page.samples.CHUNK_BYTES", 500)
    await landed(lake, tmp_path, Spec(prompts=[make_prompt(f"p{n}") for n in range(30)], k=2))
    path = write_page(lake, "d", None, tmp_path / "page.html").path
    _, index, texts = read(path)
    assert [each["prompt"] for each in texts] == index["id"]
    assert path.read_text().count('class="texts"') > 5


async def test_long_texts(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a text that is too long the beginning is in the page, with how much is left out."""
    monkeypatch.setattr("flows.page.samples.TEXT", 3)
    await landed(lake, tmp_path, spec())
    _, _, texts = read(write_page(lake, "d", None, tmp_path / "page.html").path)
    assert texts[0]["samples"][0]["response"] == ["a #", 1]


async def test_whole_or_absent(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where it can't be written the page of before stays, nothing is left beside it, and the error names it."""
    await landed(lake, tmp_path, spec())
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    page.write_text("before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.disk.sync", full)
    with pytest.raises(StorageError, match=r"page\.html: can't be written: No space left"):
        write_page(lake, "d", None, page)
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert page.read_text() == "before"
    with pytest.raises(StorageError, match="no build of 'x'"):
        write_page(lake, "x", None, page)


async def test_nothing_to_read(lake: Lake, tmp_path: Path):
    """A build without a prompt has a page too."""
    await landed(lake, tmp_path, Spec(prompts=[]))
    page = write_page(lake, "d", None, tmp_path / "page.html")
    assert (page.samples, page.slots) == (0, 0)
    assert read(page.path)[2] == []


async def test_a_file_without_a_name(lake: Lake, tmp_path: Path):
    """A path that names no file, such as an empty one, is one line."""
    await landed(lake, tmp_path, spec())
    with pytest.raises(SpecError, match=r"^'\.' names no file"):
        write_page(lake, "d", None, Path())


async def test_queries_are_left_out(lake: Lake, tmp_path: Path):
    """No query of a source's URL is on the page, where a token may stand; sources that differ in it alone stay two."""
    urls = [f"https://x.example/p.jsonl?token=sesame{number}" for number in (1, 2)]
    prompts = [make_prompt(name, source=url) for name, url in zip("ab", urls, strict=True)]
    said = {"prompts": [{"source": url} for url in urls], "decontaminate": [{"source": f"{urls[0]}&held=out"}]}
    licensing = {"license": "MIT", "sources": [{"source": url, "attribution": url} for url in urls]}
    await landed(lake, tmp_path, Spec(prompts=prompts), spec=said, licensing=licensing)
    page = write_page(lake, "d", None, tmp_path / "page.html")
    facts, index, _ = read(page.path)
    shown = ["https://x.example/p.jsonl?…", "https://x.example/p.jsonl?… (2)"]
    assert list(facts["by_source"]) == [each["source"] for each in facts["asked"]["prompts"]] == index["sources"] == shown
    assert [each["attribution"] for each in facts["licensing"]["sources"]] == shown
    assert facts["asked"]["decontaminate"] == [{"source": "https://x.example/p.jsonl?… (3)"}]
    assert "sesame" not in page.path.read_text() + json.dumps(index)


def test_index():
    """A prompt's title is its text on one line, and verifiers of one name are one filter."""
    index = Index(verifiers=["check", "check"])
    index.add(Entry(place=3, prompt=make_prompt("two\n\n lines " + "x" * 500, prompt_id="p"), samples=[]))
    columns = index.columns()
    assert columns["title"][0].startswith("two lines xxx")
    assert len(columns["title"][0]) == 140
    assert columns["verifiers"] == ["check"]


async def test_command(lake: Lake, tmp_path: Path):
    """`report --html` writes the page beside what it prints; `--json` says where it is; `--traces` alone is refused."""
    await landed(lake, tmp_path, spec())
    path = tmp_path / "page.html"
    lines = command(lake, "--html", str(path))
    assert "verifier check" in lines.stdout
    assert "page.html: 0." in lines.stderr.replace("\n", "")
    told = command(lake, "--html", str(path), "--traces", "2", "--json")
    assert json.loads(told.stdout)["page"]["samples"] == 2
    refused = command(lake, "--traces", "2")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--html FILE" in refused.stderr


def command(lake: Lake, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `stillhouse report` on a lake."""
    line = [str(Path(sys.executable).with_name("stillhouse")), "report", "d", "--lake", str(lake.root), *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_page_is_in_the_wheel(tmp_path: Path):
    """Whoever installs stillhouse has the page's markup, scripts, style, and the charts' library with its licences."""
    uv = ROOT / ".uv" / "bin" / "uv"
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT], check=True, timeout=240)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    there = {str(path.relative_to(ROOT)) for folder in ("assets", "vendor") for path in (ROOT / "flows/page" / folder).iterdir()}
    assert there <= names
    assert len(there) > 12
