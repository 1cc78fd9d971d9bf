"""Licences, terms and the guard in whole builds: refused before anything is spent, and told in traces, manifest and export."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows import cli
from flows.checks import check
from flows.exporting import check_export
from flows.loading import load_spec
from flows.plan import plan
from flows.run import Run
from flows.working import work_shards
from storage.errors import GuardRefused, LicenseRefused, SpecError
from storage.lake import Lake
from tasks.license import LicenseOptions
from tasks.licensing import duties, notice_lines
from tasks.terms import VARIABLE

ACKNOWLEDGED = {"acknowledge": [{"terms": "openai", "who": "Ada", "why": "a classifier", "agreement": "Services Agreement"}]}


def fill(folder: Path) -> Path:
    """Write prompts of two licences, and answers to them."""
    for name in ("mit", "by"):
        rows = [{"id": f"{name}{i}", "prompt": f"Case {i} of {name}?"} for i in range(3)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = [{"prompt_id": f"{name}{i}", "responses": [f"{name} {i}"]} for name in ("mit", "by") for i in range(3)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with prompts and answers, and stand in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    return fill(tmp_path)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Any]]:
    """Give a lake with a build that nothing was wrong with, and its manifest."""
    folder = fill(tmp_path_factory.mktemp("landed"))
    lake = Lake(folder / "lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return lake, asyncio.run(build(write(folder), lake))


def write(folder: Path, *, teacher: dict[str, Any] | None = None, second: dict[str, Any] | None = None, **more: Any) -> Path:
    """Write a spec with two sources and one teacher of recorded answers."""
    spec = {
        "dataset": "d",
        "prompts": [
            {"source": "mit.jsonl", "license": "MIT"},
            {"source": "by.jsonl", "license": "CC-BY-4.0", "attribution": "Bea"} | (second or {}),
        ],
        "teachers": [
            {"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "Apache-2.0"} | (teacher or {})
        ],
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec | more))
    return path


async def build(path: Path, lake: Lake) -> dict[str, Any]:
    """Build without Prefect, and return the manifest."""
    async with Run(load_spec(path), path, lake) as run:
        await run.prepare()
        await run.judge_stored()
        await work_shards(run, run.work)
        await run.judge_together()
        await run.land(await run.curate())
    return lake.build("d")


def traces(lake: Lake, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a build's traces."""
    return pq.read_table(lake.snapshot("traces", "d", manifest["build_id"]), partitioning=None).to_pylist()


async def planned(path: Path, lake: Lake) -> Any:
    """Return the plan."""
    return await plan(load_spec(path), path, lake, lambda _: None)


def test_allowed(landed: tuple[Lake, dict[str, Any]]):
    """Without terms, traces have the licences of prompt and teacher, and the manifest has what was kept, by source."""
    lake, manifest = landed
    rows = traces(lake, manifest)
    assert [(row["license"], row["train_use"], row["terms"], row["acknowledgement"], row["generation"]) for row in rows] == [
        *[("MIT AND Apache-2.0", "allowed", None, None, 0)] * 3,
        *[("CC-BY-4.0 AND Apache-2.0", "allowed", None, None, 0)] * 3,
    ]
    licensing = manifest["licensing"]
    assert licensing["sources"] == [
        {"source": "mit.jsonl", "license": "MIT"},
        {"source": "by.jsonl", "license": "CC-BY-4.0", "attribution": "Bea"},
    ]
    assert (licensing["license"], licensing["text"]) == ("MIT AND Apache-2.0 AND CC-BY-4.0", [])
    (only,) = licensing["teachers"]
    assert (only["name"], only["provider"], only["terms"], only["train_use"]) == ("t", "replay", None, "allowed")
    assert (only["duties"], only["acknowledgement"]) == ([], None)
    assert notice_lines(licensing)[:2] == ["Prompts of mit.jsonl, licensed MIT.", "Prompts of Bea, licensed CC-BY-4.0."]


async def test_the_template(folder: Path, lake: Lake):
    """A system text that is another's is a part of every trace's licence, and judged by the same lists."""
    path = write(folder, template={"system": "Think.", "license": "CC-BY-SA-4.0"})
    manifest = await build(path, lake)
    assert {row["license"] for row in traces(lake, manifest)} == {
        "MIT AND Apache-2.0 AND CC-BY-SA-4.0",
        "CC-BY-4.0 AND Apache-2.0 AND CC-BY-SA-4.0",
    }
    assert manifest["licensing"]["text"] == [{"what": "template", "license": "CC-BY-SA-4.0"}]
    path = write(folder, template={"system": "Think.", "license": "CC-BY-SA-4.0"}, licenses={"deny": ["CC-BY-SA-4.0"]})
    with pytest.raises(LicenseRefused, match=r"template is licensed CC-BY-SA-4\.0, and licenses\.deny excludes it"):
        check(load_spec(path), path, lake)
    with pytest.raises(SpecError, match="template: license: there is no text of the template's own"):
        load_spec(write(folder, template={"license": "MIT"}))


async def test_refused(folder: Path, lake: Lake):
    """A teacher whose terms restrict training is refused in plan and in build, before a prompt is read."""
    path = write(folder, teacher={"terms": "openai"}, second={"source": "nowhere.jsonl"})
    for attempt in (planned, build):
        with pytest.raises(LicenseRefused, match=r"teacher 't' is under OpenAI Services Agreement of 2026-01-01, 3\.3\(e\)"):
            await attempt(path, lake)
    assert not lake.root.exists()


async def test_acknowledged(folder: Path, lake: Lake):
    """Acknowledged, it is built; who answers for it stands in every trace, in the manifest and in NOTICE."""
    path = write(folder, teacher={"terms": "openai"}, licenses=ACKNOWLEDGED)
    said = "openai: a classifier (Ada, Services Agreement)"
    assert said in dict((await planned(path, lake)).lines())["terms of t"]
    manifest = await build(path, lake)
    assert {(row["terms"], row["train_use"], row["acknowledgement"]) for row in traces(lake, manifest)} == {
        ("openai", "restricted", said)
    }
    (only,) = manifest["licensing"]["teachers"]
    assert only["acknowledgement"] == {
        "who": "Ada", "why": "a classifier", "agreement": "Services Agreement", "terms": ["openai"]
    }  # fmt: skip
    assert (only["terms"], only["terms_as_of"], only["train_use"]) == ("openai", "2026-01-01", "restricted")
    assert any("Ada answers for it: a classifier." in line for line in notice_lines(manifest["licensing"]))
    check_export(lake, manifest)


async def test_duties_and_generations(folder: Path, lake: Lake):
    """What the weights' licence asks of whoever trains is found by the model's name, and listed.

    A trace's generation is the larger of its prompt's and its teacher's.
    """
    llama = {"model": "Llama-3.1-8B", "license": "LicenseRef-Llama-3.1", "generation": 1}
    manifest = await build(write(folder, teacher=llama, second={"generation": 2}), lake)
    assert [row["generation"] for row in traces(lake, manifest)] == [1] * 3 + [2] * 3
    assert {(row["terms"], row["train_use"]) for row in traces(lake, manifest)} == {("llama-3.1", "allowed")}
    assert "Built with Llama" in notice_lines(manifest["licensing"])
    assert "begins with “Llama”. (Llama 3.1 Community License Agreement)" in duties(manifest["licensing"])[0]


def test_export_looks_again(folder: Path, landed: tuple[Lake, dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    """A build that landed before its terms became restricted, or a list forbade it, isn't exported."""
    lake, manifest = landed
    check_export(lake, manifest)
    with pytest.raises(LicenseRefused, match=r"3 traces of teacher 't': licensed CC-BY-4.0 AND Apache-2.0, and licenses\.deny"):
        check_export(lake, manifest, LicenseOptions(deny=["CC-BY-4.0"]))
    own = "terms:\n  - {id: mine, name: Mine, kind: model, models: [m], training: restricted, clause: c, basis: text}\n"
    (folder / "own.yaml").write_text(own)
    monkeypatch.setenv(VARIABLE, str(folder / "own.yaml"))
    with pytest.raises(LicenseRefused, match=r"traces of teacher 't' are under Mine \(mine\).*build again, which buys nothing"):
        check_export(lake, manifest)


def test_export_of_an_older_build(landed: tuple[Lake, dict[str, Any]]):
    """A build from before there was a table is judged by what its manifest says of its teachers."""
    lake, manifest = landed[0], copy.deepcopy(landed[1])
    del manifest["licensing"]
    manifest["spec"]["teachers"][0] |= {"provider": "openai-batch"}
    with pytest.raises(LicenseRefused, match=r"OpenAI Services Agreement \(openai\)"):
        check_export(lake, manifest)
    manifest["spec"]["teachers"][0] |= {"base_url": "http://127.0.0.1:1/v1"}
    check_export(lake, manifest)
    manifest["spec"]["teachers"][0] |= {"replicas": [{}, {"base_url": "https://api.openai.com/v1"}]}
    with pytest.raises(LicenseRefused, match=r"OpenAI Services Agreement \(openai\)"):
        check_export(lake, manifest)


async def test_ones_own_terms(folder: Path, lake: Lake):
    """An entry of one's own stands in the place of ours; where its file is gone at export, the build has it noted."""
    own = (
        "terms:\n  - {id: openai, name: Contract, kind: service, training: allowed, clause: c, basis: text, url: https://x.org}\n"
    )
    (folder / "own.yaml").write_text(own)
    manifest = await build(write(folder, teacher={"terms": "openai"}, licenses={"terms": "own.yaml"}), lake)
    assert {(row["terms"], row["train_use"]) for row in traces(lake, manifest)} == {("openai", "allowed")}
    (folder / "own.yaml").unlink()
    check_export(lake, manifest)
    with pytest.raises(SpecError, match=r"own\.yaml: the terms can't be read"):
        check(load_spec(folder / "spec.yaml"), folder / "spec.yaml", lake)


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        ({"max_generation": 0}, "teacher 't' is of generation 1"),
        ({"max_generation": 1}, "by.jsonl: 3 prompts are of generation 2"),
        ({"min_human_share": 0.6}, r"3 of 6 prompts \(50.0%\) were written by people"),
    ],
    ids=str,
)
async def test_guard(folder: Path, lake: Lake, guard: dict[str, Any], said: str):
    """What the guard refuses is refused by the plan."""
    path = write(folder, teacher={"generation": 1}, second={"generation": 2}, guard=guard)
    with pytest.raises(GuardRefused, match=said):
        await planned(path, lake)
    assert not lake.root.exists()


async def test_the_guard_in_a_build(folder: Path, lake: Lake):
    """A build refuses the same, before anything is bought."""
    with pytest.raises(GuardRefused, match=r"by\.jsonl: 3 prompts are of generation 1"):
        await build(write(folder, second={"generation": 1}, guard={"max_generation": 0}), lake)
    assert not list(lake.root.glob("samples/run*"))
    assert lake.builds() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"teacher": {"terms": "opneai"}}, "spec.yaml: teachers[0].terms: no terms are called 'opneai'; did you mean 'openai'?"),
        ({"licenses": {"acknowledge": [{"terms": "openai"}]}}, "licenses.acknowledge[0].who: is missing"),
        ({"licenses": {"acknowlege": []}}, "licenses.acknowlege: unknown key; did you mean 'acknowledge'?"),
        ({"licenses": {"terms": "none.yaml"}}, "none.yaml: the terms can't be read: No such file or directory"),
        ({"guard": {"max_generations": 1}}, "guard.max_generations: unknown key; did you mean 'max_generation'?"),
    ],
    ids=["terms", "acknowledge", "key", "file", "guard"],
)
def test_mistyped(folder: Path, more: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """What is mistyped is one line with its place, and exit 2."""
    monkeypatch.setattr("sys.argv", ["stillhouse", "plan", str(write(folder, **more).name)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.replace("\n", "")


def test_the_command_line(folder: Path, landed: tuple[Lake, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """`plan` and `export` end with 3 where the gate refuses, and export goes by another spec's `licenses` where one is named."""
    write(folder, licenses={"allow": ["MIT"]})
    export = ["export", "d", "--to", "out", "--lake", str(landed[0].root)]
    for arguments, code in ((["plan", "spec.yaml"], 3), ([*export, "--spec", "spec.yaml"], 3), (export, 0)):
        assert not (folder / "out").exists()
        monkeypatch.setattr("sys.argv", ["stillhouse", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        assert code == 0 or "licenses.allow has MIT" in capsys.readouterr().err.replace("\n", " ")


async def test_rows_with_their_own(folder: Path, lake: Lake):
    """Rows without a licence that is allowed are rejected alone, unasked, and the manifest names the others' licences."""
    own = [{"id": f"mit{i}", "prompt": f"Case {i}?", "lic": each} for i, each in enumerate(["MIT", None, "GPL-3.0-only"])]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    path = write(folder, prompts=[{"source": "own.jsonl", "fields": {"license": "lic"}}], licenses={"deny": ["GPL-3.0-only"]})
    assert (await planned(path, lake)).barred == {"license": 2}
    manifest = await build(path, lake)
    assert (manifest["requested"], manifest["kept"], manifest["rejected"]) == (3, 1, {"license": 2})
    assert manifest["licensing"]["sources"] == [{"source": "own.jsonl", "license": "MIT"}]


async def test_rows_of_which_none_is_allowed(folder: Path, lake: Lake):
    """Where no row may be used, the build lands with nothing kept."""
    rows = [{"prompt": f"Case {i}?", "lic": each} for i, each in enumerate(["MIT", None, "free for all"])]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"source": "own.jsonl", "fields": {"license": "lic"}}
    manifest = await build(write(folder, prompts=[source], licenses={"allow": ["Apache-2.0"]}), lake)
    assert (manifest["kept"], manifest["rejected"]) == (0, {"license": 3})
    assert manifest["licensing"] == {"sources": [], "teachers": [], "text": [], "license": "NONE"}
    check_export(lake, manifest)


async def test_of_another_lake(folder: Path, lake: Lake):
    """Responses that become prompts bring along what binds them, and who answered for it."""
    await build(write(folder, teacher={"terms": "openai"}, licenses=ACKNOWLEDGED), lake)
    second = Lake(folder / "second")
    source = {"source": f"lake:{lake.root}#d", "fields": {"prompt": "response"}}
    teacher = {"provider": "simulate", "path": None, "simulate": {"latency_s": 0}, "terms": "llama-4"}
    manifest = await build(write(folder, prompts=[source], teacher=teacher), second)
    (row, *_) = traces(second, manifest)
    assert (row["terms"], row["train_use"], row["generation"]) == ("llama-4, openai", "restricted", 1)
    assert row["acknowledgement"] == "openai: a classifier (Ada, Services Agreement)"
    assert manifest["licensing"]["sources"][0]["terms"] == "openai"
    assert any("are a model's text, under terms openai" in line for line in notice_lines(manifest["licensing"]))
    check_export(second, manifest)
