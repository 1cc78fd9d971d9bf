"""Growing prompts in whole builds, on recorded answers: what binds it, what is refused first, and what a probe leaves to a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows import judging
from flows.building import Run
from flows.checks import check
from flows.exporting import check_export, export_build
from flows.loading import load_spec
from flows.plan import plan
from flows.working import work_shards
from storage.errors import GuardRefused, LicenseRefused, SpecError
from storage.lake import Lake
from tasks.export import ExportOptions
from tasks.rights.terms import VARIABLE

GROWN = ["Which of the grown ones is first?", "And what does the second of them ask about?"]
ACKNOWLEDGED = {"acknowledge": [{"teacher": "g", "who": "Ada", "why": "a classifier", "agreement": "by letter"}]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with two seeds and the answers of two teachers, and stand in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    lines = {
        "seeds": [{"id": f"s{i}", "prompt": f"Seed number {i}?"} for i in range(2)],
        "grow": [{"prompt_id": f"s{i}", "responses": [json.dumps([GROWN[i]])]} for i in range(2)],
        "answers": [{"prompt": text, "responses": [f"About: {text}"]} for text in (*GROWN, "Seed number 0?", "Seed number 1?")],
    }
    for name, rows in lines.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def write(
    *, grow: dict[str, Any] | None = None, source: dict[str, Any] | None = None, grower: dict[str, Any] | None = None, **more: Any
) -> Path:
    """Write a spec whose seeds are rephrased once by a teacher that does nothing else."""
    base = {"source": "seeds.jsonl", "license": "CC-BY-4.0", "attribution": "Bea"}
    teacher = {"provider": "replay", "model": "m", "license": "Apache-2.0"}
    spec = {
        "dataset": "d",
        "prompts": [base | (source or {}) | {"grow": {"method": "rephrase", "teacher": "g", "per_seed": 1} | (grow or {})}],
        "teachers": [
            teacher | {"name": "t", "path": "answers.jsonl"},
            teacher | {"name": "g", "path": "grow.jsonl", "model": "n", "draw": False} | (grower or {}),
        ],
    }
    path = Path("spec.yaml")
    path.write_text(json.dumps(spec | more))
    return path


async def build(path: Path, lake: Lake) -> dict[str, Any]:
    """Build without Prefect, and return the manifest."""
    async with Run(load_spec(path), path, lake) as run:
        await run.grow()
        await run.prepare()
        await run.judge_stored()
        await work_shards(run, run.work)
        await run.judge_together()
        await run.land(await run.curate())
    return lake.build("d")


def rows(lake: Lake, table: str, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a build's rows of a table."""
    return pq.read_table(lake.snapshot(table, "d", manifest["build_id"]), partitioning=None).to_pylist()


async def test_lineage(lake: Lake):
    """A grown prompt stands behind the seeds, with its parent, and both with the sample that it was read from."""
    manifest = await build(write(), lake)
    seeds, grown = rows(lake, "prompts", manifest)[:2], rows(lake, "prompts", manifest)[2:]
    assert [(row["parents"], row["grown_by"], row["generation"]) for row in seeds] == [([], None, 0)] * 2
    assert [(row["prompt"], row["parents"], row["grown_by"]) for row in grown] == [
        (GROWN[i], [f"s{i}"], "g: rephrase") for i in range(2)
    ]
    assert {row["source"] for row in grown} == {"seeds.jsonl (rephrase by g)"}
    told = rows(lake, "grown", manifest)
    assert [(row["prompt_id"], row["outcome"]) for row in told] == [(row["prompt_id"], "kept") for row in grown]
    assert {row["prompt_source"]: row["license"] for row in rows(lake, "traces", manifest)} == {
        "seeds.jsonl": "CC-BY-4.0 AND Apache-2.0",
        "seeds.jsonl (rephrase by g)": "CC-BY-4.0 AND Apache-2.0",
    }


async def test_another_threshold_reads_anew(folder: Path, lake: Lake):
    """What is like a seed is dropped by what `near` says now; the answers are there, and nothing is bought for it."""
    (folder / "grow.jsonl").write_text(
        "".join(json.dumps({"prompt_id": f"s{i}", "responses": [f'["Seed number {1 - i}? Yes"]']}) + "\n" for i in range(2))
    )
    answers = folder / "answers.jsonl"
    answers.write_text(
        answers.read_text()
        + "".join(json.dumps({"prompt": f"Seed number {i}? Yes", "responses": ["Y"]}) + "\n" for i in range(2))
    )
    strict = await build(write(grow={"near": {"threshold": 0.6}}), lake)
    assert strict["grown"][0]["rejected"] == {"near-duplicate": 2}
    assert [row["reason"] for row in rows(lake, "grown", strict)] == [f"near-duplicate: of s{1 - i} (0.667)" for i in range(2)]
    lax = await build(write(grow={"near": {"threshold": 0.9}}), lake)
    assert (lax["grown"][0]["kept"], lax["grown"][0]["paid"], lax["prompts"]) == (2, 0, 4)


async def test_terms_of_whoever_grew_it(folder: Path, lake: Lake):
    """A grower's terms are gated, and bind the traces of what it grew; NOTICE names it, and whom the seeds credit."""
    with pytest.raises(LicenseRefused, match="teacher 'g' is under OpenAI"):
        check(load_spec(path := write(grower={"terms": "openai"})), path, lake)
    path = write(grower={"terms": "openai"}, licenses=ACKNOWLEDGED)
    assert "acknowledged" in (await plan(load_spec(path), path, lake, lambda _: None)).terms["g"]
    manifest = await build(path, lake)
    assert {(row["prompt_source"], row["terms"], row["train_use"]) for row in rows(lake, "traces", manifest)} == {
        ("seeds.jsonl", None, "allowed"),
        ("seeds.jsonl (rephrase by g)", "openai", "restricted"),
    }
    export_build(lake, manifest, ExportOptions(to=str(folder / "out")))
    notice = (folder / "out" / "NOTICE").read_text()
    assert "* seeds.jsonl (rephrase by g)\n  Licence: CC-BY-4.0 AND Apache-2.0\n  Credit: Bea\n" in notice
    assert "* n (teacher g, asked through replay)" in notice


REFUSED = {
    "no licence": ({"grower": {"license": None}}, LicenseRefused, r"teachers\[1\] \(g\) has no license"),
    "a later generation": ({"guard": {"max_generation": 1}, "grow": {"rounds": 2}}, GuardRefused, "are of generation 2"),
    "a student's": ({"guard": {"max_generation": 1}, "grower": {"generation": 1}}, GuardRefused, "are of generation 2"),
}


@pytest.mark.parametrize(("given", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_before_it_is_paid_for(lake: Lake, given: dict[str, Any], error: type[Exception], said: str):
    """What the gate or the guard would refuse of grown prompts is refused before the first of them is asked for."""
    path = write(**given)
    with pytest.raises(error, match=said):
        check(load_spec(path), path, lake)


async def test_the_guard_foresees_what_is_grown(lake: Lake):
    """What would leave too few prompts of people's is refused by plan and build before it is paid for, with what has room."""
    path = write(guard={"min_human_share": 0.6})
    said = (
        r"growing asks for 2 prompts more, and beside 2 that people wrote .* has room for 1: .*`stillhouse plan SPEC --probe 20`"
    )
    with pytest.raises(GuardRefused, match=said):
        await plan(load_spec(path), path, lake, lambda _: None)
    with pytest.raises(GuardRefused, match=said):
        await build(path, lake)
    assert not list(lake.root.glob("samples/*-*.parquet"))
    path = write(guard={"min_human_share": 0.5})
    assert (await build(path, lake))["grown"][0]["kept"] == 2


def answered(folder: Path, *answers: str) -> None:
    """Write four seeds, and what comes of as many of them as there are answers."""
    seeds = [{"id": f"s{i}", "prompt": f"Seed number {i}?"} for i in range(4)]
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in seeds))
    rows_ = [{"prompt_id": f"s{i}", "responses": [answer]} for i, answer in enumerate(answers)]
    (folder / "grow.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_))
    asked = [*GROWN, *(row["prompt"] for row in seeds)]
    (folder / "answers.jsonl").write_text("".join(json.dumps({"prompt": text, "responses": ["A"]}) + "\n" for text in asked))


async def test_the_guard_after_a_probe(folder: Path, lake: Lake):
    """A probe may ask before it is known how many prompts are kept; after it, that decides, and the guard still looks at the end."""
    refused = "I'm sorry, but I can't help with that."
    answered(folder, json.dumps([GROWN[0]]), refused, json.dumps([GROWN[1]]), "As an AI, I cannot.")
    path = write(guard={"min_human_share": 0.65}, dedup={"exact": False})
    lines: list[str] = []
    async with Run(load_spec(path), path, lake, say=lines.append) as run:
        (some,) = await run.grow(2)
    assert (some.paid, some.kept) == (2, 1)
    assert any("has room for 2: a build in which more are kept will be refused" in line for line in lines)
    lines.clear()
    await plan(load_spec(path), path, lake, lines.append)
    assert any("of which about 1 are kept by what is stored" in line for line in lines)
    assert (await build(path, lake))["grown"][0]["kept"] == 2
    path = write(guard={"min_human_share": 0.7})  # everything is stored: the guard itself looks at it
    with pytest.raises(GuardRefused, match=r"4 of 6 prompts \(66\.7%\) were written by people"):
        await build(path, lake)


async def test_what_failed_before_is_asked_for_again(folder: Path, lake: Lake):
    """A spec that landed lands again, though a request that failed may come now; the guard looks at it once it has come."""
    answered(folder, json.dumps([GROWN[0]]), "I'm sorry, but I can't help with that.", json.dumps([GROWN[1]]))
    path = write(guard={"min_human_share": 0.66}, dedup={"exact": False})
    async with Run(load_spec(path), path, lake) as run:
        await run.grow(2)
    (first,) = (await build(path, lake))["grown"]
    assert (first["kept"], sum(first["rejected"].values()), first["failed"]) == (2, 1, 1)
    lines: list[str] = []
    await plan(load_spec(path), path, lake, lines.append)
    assert any("1 prompt more, all of which failed before, and beside 4" in line for line in lines)
    (again,) = (await build(path, lake))["grown"]
    assert (again["kept"], again["failed"], again["paid"]) == (2, 1, 0)
    with pytest.raises(
        GuardRefused, match="growing asks for 5 prompts more, of which about 3 are kept"
    ):  # four were never asked for
        await build(write(guard={"min_human_share": 0.66}, grow={"per_seed": 2}), lake)


async def test_the_guard_foresees_generations_of_rows(folder: Path, lake: Lake):
    """Seeds from another dataset have generations of their own, and what would be grown from them is refused as well."""
    await build(write(), lake)
    source = {"source": f"lake:{lake.root}#d", "take": "prompts", "license": None, "attribution": None}
    path = write(source=source, guard={"max_generation": 1})
    spec = json.loads(path.read_text()) | {"dataset": "e"}
    del spec["prompts"][0]["license"], spec["prompts"][0]["attribution"]
    path.write_text(json.dumps(spec))
    for tried in (plan(load_spec(path), path, lake, lambda _: None), build(path, lake)):
        with pytest.raises(GuardRefused, match=r"prompts grown from it are of generation 2"):
            await tried


def test_an_unknown_teacher():
    """A teacher that isn't there is told with the nearest that is."""
    with pytest.raises(SpecError, match=r"prompts\[0\].grow.teacher: no teacher is named 'gg'"):
        load_spec(write(grow={"teacher": "gg"}))


async def test_a_probe_buys_a_few(lake: Lake):
    """A probe buys so many answers of a round at most, and a build goes on from there."""
    path = write()
    async with Run(load_spec(path), path, lake) as run:
        (some,) = await run.grow(1)
        assert (some.paid, some.kept, (await run.prepare()).prompts) == (1, 1, 3)
    made = await plan(load_spec(path), path, lake, lambda _: None)
    assert [(each.stored, each.missing, each.may_come, each.expected) for each in made.growth] == [(1, 1, 1, 1)]
    assert (await build(path, lake))["grown"][0]["paid"] == 1


async def test_prompts_without_a_trace(folder: Path, lake: Lake):
    """What binds a grown prompt goes on to a dataset that takes it, though its first one kept nothing that answers it."""
    first = write(grower={"model": "llama-2-7b"}, licenses=ACKNOWLEDGED, verify=[{"use": "regex", "pattern": "Seed"}])
    manifest = await build(first, lake)
    assert [each["source"] for each in manifest["licensing"]["sources"]] == ["seeds.jsonl"]
    (grown,) = manifest["licensing"]["untraced"]
    assert (grown["source"], grown["terms"], grown["train_use"]) == ("seeds.jsonl (rephrase by g)", "llama-2", "restricted")
    spec = {
        "dataset": "d",
        "prompts": [{"source": f"lake:{lake.root}#d", "take": "prompts"}],
        "teachers": [{"name": "t", "provider": "replay", "model": "m", "license": "Apache-2.0", "path": "answers.jsonl"}],
    }
    (folder / "second.yaml").write_text(json.dumps(spec))
    other = Lake(folder / "other")
    traces = rows(other, "traces", await build(folder / "second.yaml", other))
    assert {(row["terms"], row["train_use"]) for row in traces} == {("llama-2", "restricted")}
    assert {row["acknowledgement"] for row in traces} == {"llama-2: a classifier (Ada, by letter)"}


async def test_terms_of_whoever_grew_it_today(folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """An entry that binds the grower only since the build landed refuses its export, and a dataset that takes its prompts."""
    manifest = await build(write(grower={"model": "n-1"}), lake)
    check_export(lake, manifest)
    entry = {
        "id": "n",
        "name": "N",
        "kind": "model",
        "models": ["n-*"],
        "training": "restricted",
        "clause": "No.",
        "basis": "text",
    }
    (folder / "terms.yaml").write_text(json.dumps({"terms": [entry]}))
    monkeypatch.setenv(VARIABLE, "terms.yaml")
    with pytest.raises(LicenseRefused, match=r"prompts of seeds\.jsonl \(rephrase by g\) are under N \(n\)"):
        check_export(lake, manifest)
    taken = {"source": f"lake:{lake.root}#d", "take": "prompts"}
    spec = {"dataset": "e", "prompts": [taken], "teachers": json.loads(write().read_text())["teachers"][:1]}
    (folder / "second.yaml").write_text(json.dumps(spec))
    with pytest.raises(LicenseRefused, match="are under N"):
        check(load_spec(folder / "second.yaml"), folder / "second.yaml", lake)


async def test_from_a_lake(lake: Lake):
    """Another dataset's grown prompts are prompts like any other, and keep their parents; traces of them say whose terms hold."""
    await build(write(), lake)
    path = write(source={"source": f"lake:{lake.root}#d", "take": "prompts", "license": None, "attribution": None})
    spec = json.loads(path.read_text())
    del spec["prompts"][0]["license"], spec["prompts"][0]["attribution"], spec["prompts"][0]["grow"]
    path.write_text(json.dumps(spec))
    async with Run(load_spec(path), path, lake) as run:
        await run.prepare()
        found = run._workspace.rows("SELECT parents, generation FROM prompts ORDER BY ord")
    assert found == [([], 0), ([], 0), (["s0"], 1), (["s1"], 1)]


@pytest.mark.parametrize(
    ("require", "told"),
    [("all", ["verify[0] (exact_match)"]), ("any", []), (["refusal"], []), (["exact_match"], ["verify[0] (exact_match)"])],
)
def test_who_cannot_decide(require: Any, told: list[str]):
    """A verifier by references is named where grown prompts hang on it, and not where another may speak in its stead."""
    path = write(verify=[{"use": "exact_match"}, {"use": "refusal"}], select={"require": require})
    spec = load_spec(path)
    lines = list(judging.undecided(spec, judging.make_verifiers(spec, path)))
    assert [line.partition(":")[0] for line in lines] == told
