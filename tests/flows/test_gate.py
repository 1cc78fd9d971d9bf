"""Licences, terms and the guard in whole builds: refused before anything is spent, and told in traces, manifest and export."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows import cli, rights
from flows.building import Run
from flows.checks import check
from flows.exporting import check_export, export_build, export_dataset
from flows.loading import load_spec
from flows.plan import plan
from flows.working import work_shards
from storage.errors import GuardRefused, LicenseRefused, SpecError
from storage.lake import Lake
from tasks.export import ExportOptions
from tasks.license import LicenseOptions
from tasks.publishing.notice import acknowledgements
from tasks.rights.licensing import Licensee, describe_teacher
from tasks.rights.terms import VARIABLE, load

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


def may_export(lake: Lake, manifest: dict[str, Any], given: LicenseOptions | None = None) -> None:
    """Raise what an export of a build raises."""
    check_export(lake, manifest, given)


def notice(lake: Lake, manifest: dict[str, Any]) -> str:
    """Return the NOTICE of a build's export."""
    with TemporaryDirectory() as folder:
        export_build(lake, manifest, ExportOptions(to=f"{folder}/out"))
        return (Path(folder) / "out" / "NOTICE").read_text()


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
    assert "* by.jsonl\n  Licence: CC-BY-4.0\n  Credit: Bea\n" in notice(lake, manifest)


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
    assert "Acknowledged by Ada: a classifier (agreement: Services Agreement)" in notice(lake, manifest)
    may_export(lake, manifest)


async def test_duties_and_generations(folder: Path, lake: Lake):
    """What the weights' licence asks of whoever trains is found by the model's name, and listed.

    A trace's generation is the larger of its prompt's and its teacher's.
    """
    llama = {"model": "Llama-3.1-8B", "license": "LicenseRef-Llama-3.1", "generation": 1}
    manifest = await build(write(folder, teacher=llama, second={"generation": 2}), lake)
    assert [row["generation"] for row in traces(lake, manifest)] == [1] * 3 + [2] * 3
    assert {(row["terms"], row["train_use"]) for row in traces(lake, manifest)} == {("llama-3.1", "allowed")}
    assert "Notices\n-------\n* Built with Llama\n" in notice(lake, manifest)
    assert "Duty: A model that is trained on this and distributed has a name that begins with “Llama”." in notice(lake, manifest)


def test_export_looks_again(folder: Path, landed: tuple[Lake, dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    """A build that landed before its terms became restricted, or a list forbade it, isn't exported."""
    lake, manifest = landed
    may_export(lake, manifest)
    with pytest.raises(LicenseRefused, match=r"3 traces of teacher 't': licensed CC-BY-4.0 AND Apache-2.0, and licenses\.deny"):
        may_export(lake, manifest, LicenseOptions(deny=["CC-BY-4.0"]))
    own = "terms:\n  - {id: mine, name: Mine, kind: model, models: [m], training: restricted, clause: c, basis: text}\n"
    (folder / "own.yaml").write_text(own)
    monkeypatch.setenv(VARIABLE, str(folder / "own.yaml"))
    with pytest.raises(LicenseRefused, match=r"traces of teacher 't' are under Mine \(mine\).*build again, which buys nothing"):
        may_export(lake, manifest)


def test_export_of_an_older_build(landed: tuple[Lake, dict[str, Any]]):
    """A build from before there was a table is judged by what its manifest says of its teachers."""
    lake, manifest = landed[0], copy.deepcopy(landed[1])
    del manifest["licensing"]
    manifest["spec"]["teachers"][0] |= {"provider": "openai-batch"}
    with pytest.raises(LicenseRefused, match=r"OpenAI Services Agreement \(openai\)"):
        may_export(lake, manifest)
    manifest["spec"]["teachers"][0] |= {"base_url": "http://127.0.0.1:1/v1"}
    may_export(lake, manifest)
    manifest["spec"]["teachers"][0] |= {"replicas": [{}, {"base_url": "https://api.openai.com/v1"}]}
    with pytest.raises(LicenseRefused, match=r"OpenAI Services Agreement \(openai\)"):
        may_export(lake, manifest)


async def test_ones_own_terms(folder: Path, lake: Lake):
    """An entry of one's own stands in the place of ours; where its file is gone at export, the build has it noted."""
    own = (
        "terms:\n  - {id: openai, name: Contract, kind: service, training: allowed, clause: c, basis: text, url: https://x.org}\n"
    )
    (folder / "own.yaml").write_text(own)
    manifest = await build(write(folder, teacher={"terms": "openai"}, licenses={"terms": "own.yaml"}), lake)
    assert {(row["terms"], row["train_use"]) for row in traces(lake, manifest)} == {("openai", "allowed")}
    (folder / "own.yaml").unlink()
    may_export(lake, manifest)
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
        (
            {"teacher": {"terms": "opneai"}},
            "spec.yaml:1: teachers[0].terms: no terms are called 'opneai'; did you mean 'openai'?",
        ),
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
    untraced = [{"source": "own.jsonl", "license": "MIT"}]
    assert manifest["licensing"] == {"sources": [], "untraced": untraced, "teachers": [], "text": [], "license": "NONE"}
    may_export(lake, manifest)


async def test_refuted_samples(folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """A teacher of whom pairs have rejected responses alone is gated, and said in NOTICE; one that only judges needs no licence."""
    answers = [{"prompt_id": f"{name}{i}", "responses": ["wrong"]} for name in ("mit", "by") for i in range(3)]
    (folder / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    replay = {"provider": "replay", "path": "b.jsonl"}
    weak = replay | {"name": "b", "model": "llama-3.1-8b", "license": "LicenseRef-Llama"}
    path = write(folder, verify=[{"use": "regex", "pattern": "[0-9]"}])
    spec = json.loads(path.read_text())
    spec["teachers"] += [weak, replay | {"name": "judge", "model": "j", "draw": False}]
    path.write_text(json.dumps(spec))
    manifest = await build(path, lake)
    assert [each["name"] for each in manifest["licensing"]["teachers"]] == ["t"]
    pairs = ExportOptions(to="pairs", format="preference")
    told = export_build(lake, manifest, pairs)
    assert "LicenseRef-Llama" in told["license"]
    assert "* Built with Llama\n" in (folder / "pairs" / "NOTICE").read_text()
    assert "LicenseRef-Llama" not in export_build(lake, manifest, ExportOptions(to="whole"))["license"]
    path.write_text(json.dumps(spec | {"licenses": {"deny": ["LicenseRef-Llama"]}}))
    with pytest.raises(LicenseRefused, match=r"refuted samples: teacher 'b' is licensed LicenseRef-Llama, and licenses\.deny"):
        export_dataset(lake, "d", pairs, print, spec=load_spec(path))
    (own,) = (each for each in load().agreements if each.id == "llama-3.1")
    restricted = own.model_dump(mode="json", exclude_none=True) | {"training": "restricted"}
    (folder / "terms.yaml").write_text(json.dumps({"terms": [restricted]}))
    monkeypatch.setenv(VARIABLE, "terms.yaml")
    with pytest.raises(LicenseRefused, match=r"teacher 'b' is under Llama 3\.1"):
        export_dataset(lake, "d", pairs, print)
    given = {"teacher": "b", "who": "Ada", "why": "a test", "agreement": "by letter"}
    path.write_text(json.dumps(spec | {"licenses": {"acknowledge": [given]}}))
    export_dataset(lake, "d", pairs, print, spec=load_spec(path))
    assert "Acknowledged by Ada: a test (agreement: by letter)" in (folder / "pairs" / "NOTICE").read_text()
    card = (folder / "pairs" / "README.md").read_text()
    assert "- Training a model on the rejected responses of `llama-3.1-8b` is restricted" in card


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
    said = notice(second, manifest)
    assert "Made by a model, under terms: openai; training on it: restricted" in said
    assert "Acknowledged: openai: a classifier (Ada, Services Agreement)" in said
    assert "Prompts, made by these models\n-----------------------------\n* m (teacher t" in said
    may_export(second, manifest)


async def test_through_two_lakes(folder: Path, lake: Lake):
    """What binds a model's text goes on wherever its prompts are taken, and so do credits and the lines that terms ask for."""
    made_of = {"provider": "simulate", "path": None, "simulate": {"latency_s": 0}}
    llama = {"model": "Llama-3.1-8B", "license": "LicenseRef-Llama"}
    await build(write(folder, teacher=llama), lake)
    second, third = Lake(folder / "second"), Lake(folder / "third")
    source = {"source": f"lake:{lake.root}#d", "fields": {"prompt": "response"}}
    await build(write(folder, prompts=[source], teacher=made_of), second)
    for take in ("prompts", "traces"):
        source = {"source": f"lake:{second.root}#d", "take": take}
        manifest = await build(write(folder, prompts=[source], teacher=made_of | {"model": f"for-{take}"}), third)
        assert {row["terms"] for row in traces(third, manifest)} == {"llama-3.1"}
        said = notice(third, manifest)
        assert "Credit: Bea" in said
        assert "* Llama-3.1-8B (teacher t" in said
        assert "* Built with Llama" in said
        assert "Prompts, made by these models" in said
        assert "m (teacher t" not in said


async def test_through_two_lakes_without_leave(folder: Path, lake: Lake):
    """Prompts that a model wrote, of whose terms nobody answers for today, are refused though the build between is allowed."""
    second = Lake(folder / "second")
    own = "terms:\n  - {id: mine, name: Mine, kind: model, models: [own], training: USE, clause: c, basis: text}\n"
    terms = folder / "own.yaml"
    terms.write_text(own.replace("USE", "allowed"))
    teacher = {"provider": "simulate", "path": None, "simulate": {"latency_s": 0}}
    licenses = {"terms": "own.yaml"}
    await build(write(folder, teacher={"model": "own"}, licenses=licenses), lake)
    source = {"source": f"lake:{lake.root}#d", "fields": {"prompt": "response"}}
    await build(write(folder, prompts=[source], teacher=teacher, licenses=licenses), second)
    path = write(folder, prompts=[{"source": f"lake:{second.root}#d"}], teacher=teacher, licenses=licenses)
    check(load_spec(path), path, Lake(folder / "third"))
    terms.write_text(own.replace("USE", "restricted"))
    with pytest.raises(LicenseRefused, match=r"second#d: prompts of lake:.*lake#d are under Mine \(mine\)"):
        check(load_spec(path), path, Lake(folder / "third"))


async def test_a_source_twice(folder: Path, lake: Lake):
    """A source that stands twice among the prompts makes no trace twice, and whom either entry credits is credited."""
    await build(write(folder), lake)
    second = Lake(folder / "second")
    source = {"source": f"lake:{lake.root}#d", "fields": {"prompt": "response"}}
    sources = [source | {"limit": 2, "attribution": "Cy"}, source | {"attribution": "Di"}]
    teacher = {"provider": "simulate", "path": None, "simulate": {"latency_s": 0}}
    manifest = await build(write(folder, prompts=sources, teacher=teacher), second)
    assert manifest["kept"] == len(traces(second, manifest)) == 6
    assert manifest["licensing"]["sources"][0]["attribution"] == "Cy; Di"
    assert "Credit: Cy; Di\n  Credit: Bea\n" in notice(second, manifest)


async def test_two_acknowledgements(folder: Path, lake: Lake):
    """Where two agreements bind a teacher, both who answer for them stand in NOTICE."""
    given = [{"terms": name, "who": who, "why": "w", "agreement": "a"} for name, who in (("mine", "Ada"), ("yours", "Bo"))]
    form = "{id: ID, name: N, kind: KIND, models: [m], training: restricted, clause: c, basis: text}"
    entries = [form.replace("ID", id_).replace("KIND", kind) for id_, kind in (("mine", "service"), ("yours", "model"))]
    (folder / "own.yaml").write_text("terms:\n" + "".join(f"  - {entry}\n" for entry in entries))
    teacher = {"provider": "openai", "path": None, "base_url": "http://127.0.0.1:1/v1"}
    path = write(folder, teacher=teacher, licenses={"terms": "own.yaml", "acknowledge": given})
    spec = load_spec(path)
    (bound,) = rights.bounds(spec, path, load("own.yaml"))
    found = describe_teacher(Licensee(options=spec.teachers[0], bound=bound))
    assert [one["who"] for one in found["acknowledgements"]] == ["Ada", "Bo"]
    assert acknowledgements(found) == [f"acknowledged by {who}: w (agreement: a)" for who in ("Ada", "Bo")]
