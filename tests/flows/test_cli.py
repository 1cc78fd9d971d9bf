"""The command line: what is printed, and one clear line with the right exit code for what is wrong."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import cli, doctor
from flows.commands import printing
from flows.loading import load_spec
from flows.process.launch import Launch
from flows.progress import Progress
from storage.errors import Interrupted

GOOD: dict[str, Any] = {
    "dataset": "d",
    "prompts": [{"source": "p.jsonl", "license": "MIT"}],
    "teachers": [{"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "MIT"}],
    "sampling": {"k": 2},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a spec that is right, its prompts and its answers, and stand in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STILLHOUSE_LAKE", raising=False)
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"id": f"p{i}", "prompt": f"Case {i}?"}) + "\n" for i in range(20)))
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt_id": "p0", "responses": ["a", "b"]}) + "\n")
    (tmp_path / "spec.yaml").write_text(json.dumps(GOOD))
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr("sys.argv", ["stillhouse", *arguments])
    nobodys = SimpleNamespace(temporary=True)
    monkeypatch.setattr("flows.process.launch.Server", lambda: contextlib.nullcontext(nobodys))  # no build here gets so far
    try:
        cli.main()
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def changed(**changes: Any) -> str:
    """Return the good spec with changes."""
    return json.dumps(GOOD | changes)


def source(**changes: Any) -> list[dict[str, Any]]:
    """Return the good spec's prompts with changes."""
    return [GOOD["prompts"][0] | changes]


def teacher(**changes: Any) -> list[dict[str, Any]]:
    """Return the good spec's teachers with changes."""
    return [GOOD["teachers"][0] | changes]


OWN = "http://127.0.0.1:9/v1"
"""A server of one's own, whose terms nobody has."""
LINES = [json.dumps({"id": f"p{i}", "prompt": f"Case {i}?"}) for i in range(20)]
BAD_SPECS = {
    "no file": (None, ["spec.yaml", "no such file"]),
    "not YAML": ("dataset: [1\nx: }", ["spec.yaml:2", "not YAML"]),
    "not a mapping": ("- 1\n", ["spec.yaml", "mapping"]),
    "empty": ("", ["spec.yaml", "mapping"]),
    "a key twice": ("dataset: a\ndataset: b\n", ["spec.yaml:2", "'dataset' stands twice"]),
    "an unknown key": (changed(smapling={}), ["spec.yaml", "smapling", "did you mean 'sampling'?"]),
    "a nested unknown key": (
        changed(teachers=teacher(limits={"concurency": 3})),
        ["teachers[0].limits.concurency", "did you mean 'concurrency'?"],
    ),
    "a missing key": (json.dumps({k: v for k, v in GOOD.items() if k != "dataset"}), ["dataset", "is missing"]),
    "a wrong type": (changed(sampling={"k": "many"}), ["sampling.k", "whole number", "'many'"]),
    "out of range": (changed(sampling={"k": 0}), ["sampling.k", "greater than or equal to 1"]),
    "an unknown provider": (
        changed(teachers=teacher(provider="opnai")),
        ["spec.yaml:1: teachers[0].provider", "did you mean 'openai'?"],
    ),
    "an unknown verifier": (changed(verify=[{"use": "exact_mach"}]), ["verify[0].use", "did you mean 'exact_match'?"]),
    "an unknown option of a verifier": (
        changed(verify=[{"use": "exact_match", "knd": "number"}]),
        ["verify[0].knd", "did you mean 'kind'?"],
    ),
    "a wrong option of a verifier": (
        changed(verify=[{"use": "exact_match", "kind": "nmber"}]),
        ["spec.yaml:1: verify[0].kind: ", "did you mean 'number'?"],
    ),
    "a judge without its teacher": (
        changed(verify=[{"use": "judge", "teacher": "s", "rubric": "r", "pass_at": 5}]),
        ["verify[0].teacher", "no teacher is named 's'"],
    ),
    "two teachers of one name": (changed(teachers=teacher() * 2), ["teachers", "two are named 't'"]),
    "a required verifier that isn't there": (changed(select={"require": ["judge"]}), ["select.require", "'judge'"]),
    "a budget without prices": (changed(budget={"usd": 1}), ["budget", "'t'", "price"]),
    "a licence that isn't SPDX": (
        changed(prompts=source(license="Apache2")),
        ["spec.yaml:1: prompts[0] (p.jsonl): 'Apache2' isn't an SPDX licence expression; did you mean 'Apache-2.0'?"],
    ),
    "an allowed licence that isn't SPDX": (
        changed(licenses={"allow": ["MITT"]}),
        ["spec.yaml:1: licenses.allow[0]: 'MITT'", "did you mean 'MIT'?"],
    ),
    "a template that doesn't parse": (changed(template={"user": "{{ prompt"}), ["spec.yaml:1: template.user, line 1: "]),
    "an unknown format": (
        changed(exports=[{"to": "out", "format": "mesages"}]),
        ["spec.yaml:1: exports[0]: unknown format 'mesages'; did you mean 'messages'?"],
    ),
    "an undefined variable": (
        changed(template={"user": "{{ promt }}"}),
        ["spec.yaml:1: template.user, ", "p.jsonl:1", "'promt' is undefined; did you mean 'prompt'?"],
    ),
    "an export on a file": (changed(exports=[{"to": "p.jsonl"}]), ["spec.yaml:1: exports[0].to: p.jsonl: is a file"]),
    "exports in one another": (changed(exports=[{"to": "out"}, {"to": "out/b"}]), ["spec.yaml:1: exports[1].to: out/b and "]),
    "a password of an export": (
        changed(exports=[{"to": "s3://u:p@bucket/x"}]),
        ["spec.yaml:1: exports[0].to: s3://…: has a password"],
    ),
    "prompts that aren't there": (
        changed(prompts=source(source="q.jsonl")),
        ["spec.yaml:1: prompts[0].source: q.jsonl: no such"],
    ),
    "answers that aren't there": (changed(teachers=teacher(path="z.jsonl")), ["spec.yaml:1: teachers[0].path: z.jsonl: no such"]),
    "a benchmark that isn't there": (
        changed(decontaminate=[{"source": "nope.jsonl"}]),
        ["spec.yaml:1: decontaminate[0].source: nope.jsonl: no such"],
    ),
    "a column that isn't there": (
        changed(prompts=source(fields={"prompt": "promt"})),
        ["spec.yaml:1: prompts[0].source: p.jsonl:1: no column 'promt'"],
    ),
    "an unknown preference": (changed(select={"prefer": "shortst"}), ["select.prefer", "did you mean 'shortest'?"]),
    "two teachers that are one": (
        changed(teachers=[*teacher(), *teacher(name="u", license="Apache-2.0")]),
        ["teachers", "'t' and 'u'", "the same samples"],
    ),
    "an unknown runner": (changed(runner={"use": "dsk"}), ["runner.use", "'dask'"]),
    "a cluster's address of this process": (
        changed(runner={"use": "local", "address": "tcp://h:1"}),
        ["runner", "local has none"],
    ),
    "a model that isn't there": (
        changed(dedup={"semantic": {"model": "./nowhere"}}),
        ["dedup.semantic.model", "./nowhere", "no such folder"],
    ),
    "semantic duplicates of prompts": (
        changed(dedup={"by": "prompt", "semantic": {"model": "./nowhere"}}),
        ["dedup", "semantic compares responses", "by: prompt"],
    ),
    "an unknown measure": (
        changed(guard={"min_diversity": {"distinct2": 0.5}}),
        ["guard.min_diversity.distinct2", "did you mean 'distinct_2'?"],
    ),
    "a floor that can't be": (changed(guard={"min_diversity": {"distinct_2": 5}}), ["guard.min_diversity.distinct_2"]),
    "nobody required": (changed(select={"require": []}), ["select.require"]),
    "batches of a provider that has none": (changed(teachers=teacher(batch={})), ["teachers[0]", "batch", "'replay'"]),
    "limits of a provider of batches": (
        changed(teachers=teacher(provider="openai-batch", limits={"concurrency": 8})),
        ["teachers[0]", "limits", "batch.requests"],
    ),
    "replicas of a provider of batches": (
        changed(teachers=teacher(provider="openai-batch", replicas=[{}, {}])),
        ["teachers[0]", "replicas"],
    ),
    "one by one and through batches": (
        changed(teachers=[*teacher(provider="openai"), *teacher(provider="openai-batch", name="u")]),
        ["teachers", "'t' and 'u'", "the same samples"],
    ),
    "a judge through batches": (
        changed(
            teachers=[*teacher(), *teacher(provider="openai-batch", name="u", draw=False)],
            verify=[{"use": "judge", "teacher": "u", "rubric": "r", "pass_at": 5}],
        ),
        ["verify[0].teacher", "'u' answers through batches"],
    ),
    "a seed beyond 64 bits": (changed(seed=10**22), ["seed"]),
    "an extra body that decides what the spec decides": (changed(teachers=teacher(extra_body={"n": 4})), ["extra_body", "'n'"]),
    "an extra body that isn't JSON": (
        changed().replace('"path": "a.jsonl"', '"path": "a.jsonl", "extra_body": {"when": 2024-01-01}'),
        ["extra_body", "JSON"],
    ),
    "a password in an address": (changed(teachers=teacher(base_url="http://u:p@host/v1")), ["base_url", "api_key_env"]),
    "a key in an address": (changed(teachers=teacher(base_url="http://host/v1?key=x")), ["base_url", "api_key_env"]),
    "a port that is none": (changed(teachers=teacher(base_url="http://host:99999/v1")), ["base_url", "no address"]),
    "a user that isn't there": (changed(prompts=source(source="~nosuchuser/p.jsonl")), ["prompts[0].source", "~nosuchuser"]),
    "a licence that is no expression": (changed(prompts=source(license="()")), ["prompts[0]", "'()'"]),
    "a key that is a list": ("? [a, b]\n: 1\n", ["spec.yaml:1", "a key must be a text"]),
    "too deep": ("[" * 3000, ["spec.yaml", "YAML"]),
    "an export in the lake": (changed(exports=[{"to": "lake/out"}]), ["exports[0]", "keep them apart"]),
    "an unknown kind": (changed(verify=[{"use": "exact_match", "kind": "numbr"}]), ["spec.yaml:1: verify[0].kind"]),
    "a bad teacher name": (changed(teachers=teacher(name="a b")), ["teachers[0].name", "'a b'"]),
    "an answer of any length": (
        changed(teachers=teacher(provider="anthropic", base_url=OWN, path=None)),
        ["spec.yaml", "teachers[0]", "sampling.max_tokens", "is missing"],
    ),
    "thinking that leaves no room": (
        changed(
            teachers=teacher(provider="anthropic", base_url=OWN, path=None),
            sampling={"max_tokens": 2048, "thinking": {"budget_tokens": 2048}},
        ),
        ["teachers[0]", "sampling.thinking.budget_tokens", "less than max_tokens"],
    ),
    "thinking in two ways": (
        changed(sampling={"thinking": {"budget_tokens": 2048, "effort": "low"}}),
        ["sampling.thinking", "either `budget_tokens` or `effort`"],
    ),
    "thinking in no way": (changed(sampling={"thinking": {}}), ["sampling.thinking", "either `budget_tokens` or `effort`"]),
    "a budget where there is none": (
        changed(teachers=teacher(provider="openai", base_url=OWN, path=None), sampling={"thinking": {"budget_tokens": 2048}}),
        ["teachers[0]", "sampling.thinking.budget_tokens"],
    ),
    "a budget for the embedded model": (
        changed(
            teachers=teacher(provider="local", path=None, model="smollm2-135m-instruct"),
            sampling={"thinking": {"budget_tokens": 2048}},
        ),
        ["teachers[0]", "sampling.thinking.budget_tokens"],
    ),
    "stop texts where there are none": (
        changed(teachers=teacher(provider="openai", base_url=OWN, path=None, api="responses"), sampling={"stop": ["END"]}),
        ["teachers[0]", "sampling.stop", "api: responses"],
    ),
    "several samples where there is one": (
        changed(teachers=teacher(provider="openai", base_url=OWN, path=None, api="responses", samples_per_request=4)),
        ["'t'", "samples_per_request", "api: responses"],
    ),
    "an api that the provider hasn't got": (changed(teachers=teacher(api="responses")), ["'t'", "api", "only provider openai"]),
    "an unknown api": (changed(teachers=teacher(provider="openai", api="chats")), ["teachers[0].api", "'responses'"]),
    "soft labels that nobody asks for": (
        changed(exports=[{"format": "soft", "to": "out", "tokenizer": "students/mine"}]),
        ["exports[0]", "soft needs", "sampling.logprobs", "`scores`"],
    ),
    "soft labels by a teacher that gives none of a text": (
        changed(exports=[{"format": "soft", "to": "out", "tokenizer": "students/mine", "scores": "t"}]),
        ["exports[0].scores", "'t' can't score", "'replay'"],
    ),
    "a tag that no prompt has": (
        changed(select={"cap": {"by": "tag:topic", "at": 1}}),
        ["spec.yaml:1: select.cap[0].by", "no prompt has a tag 'topic'"],
    ),
    "a label of another form": (changed(select={"cap": {"by": "topic", "at": 1}}), ["select.cap[0].by", "is it tag:topic?"]),
    "a split of everything": (changed(select={"split": {"test": 0.5, "validation": 0.5}}), ["select.split", "less than 1"]),
    "a lake without a dataset": (changed(prompts=[{"source": "lake:./lake"}]), ["prompts[0]", "lake:PATH#DATASET"]),
    "a lake that isn't there": (
        changed(prompts=[{"source": "lake:./lake#sums"}]),
        ["spec.yaml:1: prompts[0].source: ", "no build of 'sums'", "nothing yet"],
    ),
    "a split of a file": (changed(prompts=source(split="train")), ["p.jsonl", "only a folder has a split"]),
    "a local model that isn't embedded": (changed(teachers=teacher(provider="local", path=None)), ["'t'", "model", "'m'"]),
}


@pytest.mark.parametrize(("text", "said"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_a_bad_spec(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None, said: list[str]
) -> None:
    """A bad spec is one line that names the file and the place, and exit 2, for plan and build alike."""
    (folder / "spec.yaml").unlink()
    if text is not None:
        (folder / "spec.yaml").write_text(text)
    assert run(monkeypatch, "plan", "spec.yaml") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: spec.yaml:")
    assert captured.err.count("\n") == 1
    for part in said:
        assert part in captured.err


BAD_PROMPTS = {
    "no file": (None, {}, ["p.jsonl", "no such file"]),
    "broken JSON on line 17": ([*LINES[:16], '{"id": "p16", "prompt"', *LINES[17:]], {}, ["p.jsonl:17", "not JSON"]),
    "a line that is a list": (["[1]"], {}, ["p.jsonl:1", "JSON object"]),
    "a field that isn't there": (LINES, {"fields": {"prompt": "question"}}, ["p.jsonl:1", "'question'", "'prompt'"]),
    "an empty prompt": ([*LINES[:2], '{"id": "x", "prompt": "  "}'], {}, ["p.jsonl:3", "prompt"]),
    "a duplicate id": ([*LINES[:5], LINES[1]], {}, ["p.jsonl:6", "'p1'", "p.jsonl:2"]),
    "a byte that isn't UTF-8": ([*LINES[:3], '{"prompt": "caf\udce9"}'], {}, ["p.jsonl:4", "not UTF-8", "0xe9"]),
    "an unknown ending": (LINES, {"source": "p.txt"}, ["p.txt", "no such file"]),
    "nothing in it": ([], {}, ["p.jsonl", "no prompts"]),
}


@pytest.mark.parametrize(("lines", "changes", "said"), BAD_PROMPTS.values(), ids=BAD_PROMPTS)
def test_bad_prompts(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: list[str] | None,
    changes: dict[str, Any],
    said: list[str],
) -> None:
    """A bad input file is one line that names the file and the line in it, and exit 2."""
    (folder / "p.jsonl").unlink()
    if lines is not None:
        (folder / "p.jsonl").write_bytes("".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
    (folder / "spec.yaml").write_text(changed(prompts=source(**changes)))
    assert run(monkeypatch, "plan", "spec.yaml") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    for part in said:
        assert part in captured.err


BAD_COMMANDS = {
    "an unknown command": (["biuld"], ["biuld"]),
    "an unknown option": (["plan", "spec.yaml", "--jsn"], ["--jsn"]),
    "a missing argument": (["plan"], ["SPEC"]),
    "a bad number": (["show", "d", "-n", "zero"], ["-n"]),
    "a stage that isn't one": (["show", "d", "--stage", "verfy"], ["Invalid value for '--stage': 'verfy' is not one of 'draw'"]),
    "a status of nothing": (["status", "nothing"], ["nothing"]),
    "a dataset that isn't there": (["show", "nothing"], ["'nothing'"]),
    "a diff of a dataset that isn't there": (["diff", "nothing"], ["'nothing'"]),
    "a lake that is a file": (["status", "--lake", "p.jsonl"], ["p.jsonl", "folder"]),
    "prompts to try without a self-test": (["verify", "spec.yaml", "--prompts", "3"], ["--prompts", "add --self-test"]),
    "prompts to ask without a rehearsal": (["doctor", "--prompts", "3"], ["--prompts", "add --load SPEC"]),
    "a lake in the cloud": (["status", "--lake", "sftp://host/lake"], ["sftp://", "s3://"]),
    "an export into a foreign folder": (["export", "d", "--to", "."], ["."]),
    "a schedule without a server": (["serve", "spec.yaml", "--cron", "0 2 * * *"], ["PREFECT_API_URL"]),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_a_bad_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: list[str]
) -> None:
    """A mistyped command is one line and exit 2."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(folder))
    assert run(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    for part in said:
        assert part in captured.err


def test_serving_a_lake_that_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one line and exit 2 at once: the builds, at night, would find that out one after the other."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert run(monkeypatch, "serve", "spec.yaml", "--lake", "p.jsonl/lake") == 2
    assert capsys.readouterr().err == f"error: {folder / 'p.jsonl' / 'lake'}: can't be written: Not a directory\n"
    assert (folder / "p.jsonl").is_file()


def test_plan(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`plan` counts what is missing, shows the first prompt as it will be sent, and leaves no lake behind."""
    text = changed(
        template={"system": "Be brief.", "user": "Q: {{ prompt }}"},
        teachers=teacher(price={"input": 1.0, "output": 2.0}, samples_per_request=2),
        sampling={"k": 4, "max_tokens": 100},
    )
    (folder / "spec.yaml").write_text(text)
    assert run(monkeypatch, "plan", "spec.yaml", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["prompts"], made["slots"], made["stored"], made["missing"]) == (20, 80, 0, 80)
    assert made["first"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q: Case 0?"}]
    (only,) = made["teachers"]
    assert (only["requests"], only["tokens_out"]) == (40, 8000)
    assert only["most_usd"] == pytest.approx((only["tokens_in"] + 2 * 8000) / 1e6)
    assert made["licenses"] == {"MIT x t": "MIT"}
    assert not (folder / "lake").exists()
    assert run(monkeypatch, "plan", "spec.yaml") == 0
    assert "Q: Case 0?" in capsys.readouterr().out


def test_plan_folds_what_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Prompts without ids that are the same count once, and the plan says how many."""
    (folder / "p.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "a"}\n')
    assert run(monkeypatch, "plan", "spec.yaml", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["prompts"], made["folded"]) == (2, 1)


@pytest.mark.parametrize("name", ["my data", "../up", ""])
def test_init_with_a_bad_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """`init` takes no name that a spec would refuse."""
    assert run(monkeypatch, "init", "--dataset", name) == 2
    assert "is no name" in capsys.readouterr().err


def test_doctor_says_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`doctor` exits 2 where something is missing, and says what to do."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(monkeypatch, "doctor") == 2
    told = " ".join(capsys.readouterr().out.split())
    assert "bubblewrap" in told
    assert "no javascript (install the package nodejs)" in told


def test_the_gate_in_plan(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`plan` exits 3 where the licence gate refuses."""
    (folder / "spec.yaml").write_text(changed(teachers=teacher(license=None)))
    assert run(monkeypatch, "plan", "spec.yaml") == 3
    assert "spec.yaml:1: teachers[0] (t) has no license" in capsys.readouterr().err


def test_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`init` writes a spec that `plan` takes as it is, and never overwrites one."""
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "init") == 0
    assert run(monkeypatch, "plan", "starter.yaml") == 0
    assert "16 wanted" in capsys.readouterr().out
    assert run(monkeypatch, "init") == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "name"),
    [("a: b #c", "starter"), ("q'\"x", "starter"), ("[x", "starter"), ("back\\slash", "a-b"), (".", "true"), (".", "007")],
)
def test_init_of_what_yaml_reads_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str, name: str
) -> None:
    """A folder with signs of YAML's in its name, and a dataset that is called like a number, are what they are."""
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "init", where, "--dataset", name) == 0
    path = shlex.split(capsys.readouterr().out.partition("next: ")[2])[-1]
    assert run(monkeypatch, "plan", path) == 0
    assert load_spec(Path(path)).dataset == name


def test_status_of_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A lake that isn't there yet has no builds, which is no error."""
    assert run(monkeypatch, "status") == 0
    assert "no lake is there yet" in capsys.readouterr().out
    assert run(monkeypatch, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["builds"] == []


def test_doctor_of_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A lake that was named, and isn't there, is told, as it may be mistyped; to mend it is an error."""
    monkeypatch.setattr("flows.doctor._tried", lambda name, _: doctor.Check(name=name, state="ok", detail=""))
    for arguments, variable, state in ((["--lake", "typo"], None, "note"), ([], "typo", "note"), ([], None, "ok")):
        with monkeypatch.context() as patch:
            if variable:
                patch.setenv("STILLHOUSE_LAKE", variable)
            assert run(patch, "doctor", "--json", *arguments) == 0
        found = json.loads(capsys.readouterr().out)["lake"]
        name = "lake" if state == "ok" else "typo"
        assert found == {"state": state, "detail": f"{folder / name}: no lake is there yet"}
    assert run(monkeypatch, "doctor", "--lake", "typo", "--repair") == 2
    assert capsys.readouterr().err == f"error: {folder / 'typo'}: no lake is there, and so nothing to mend; name it by --lake\n"


def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` lists every command, and without arguments it is shown too."""
    assert run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    for command in ("init", "plan", "build", "status", "show", "export", "report", "diff", "serve", "doctor"):
        assert f" {command} " in text
    run(monkeypatch)
    assert "Commands" in capsys.readouterr().out


def test_hostile_text_can_not_steer_the_terminal() -> None:
    """Control characters of a response or a prompt are replaced before they are printed."""
    assert printing.plain("a\x1b[2Jb\x07\n") == "a\ufffd[2Jb\ufffd\n"


def priced(k: int = 2, **sampling: Any) -> dict[str, Any]:
    """Return what makes the good spec cost something."""
    return {"teachers": teacher(price={"input": 1.0, "output": 2.0}), "sampling": {"k": k, "max_tokens": 100} | sampling}


def answers(folder: Path) -> None:
    """Record two answers for each prompt, as a server would have billed them."""
    billed = {"tokens_in": 12, "tokens_out": 30}
    rows = [{"prompt_id": f"p{i}", "responses": [{"response": f"{i} {n}"} | billed for n in range(2)]} for i in range(20)]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_plan_with_nothing_to_go_by(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing stored, `plan` says from what to what, why, and how to know better."""
    (folder / "spec.yaml").write_text(changed(**priced()))
    assert run(monkeypatch, "plan", "spec.yaml") == 0
    said = capsys.readouterr().out
    for part in ("from $0.0003 to $0.0083", "nothing of this model is stored", "max_tokens is 100", "--probe"):
        assert part in said


def test_probe(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`plan --probe` buys some prompts' samples, says so, and then knows what the rest costs; again, it buys nothing."""
    answers(folder)
    (folder / "spec.yaml").write_text(changed(**priced()))
    assert run(monkeypatch, "plan", "spec.yaml", "--probe", "5", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    cost = pytest.approx(10 * 72e-6)
    assert made["probe"] == {"prompts": 5, "paid": 10, "judged": 0, "cost_usd": cost, "tokens_in": 120, "tokens_out": 300}
    assert (made["stored"], made["missing"], made["expected"], made["known"]) == (10, 30, 30, True)
    assert made["cost_usd"] == pytest.approx(30 * 72e-6, rel=0.02)
    assert run(monkeypatch, "plan", "spec.yaml", "--probe", "5") == 0
    said = capsys.readouterr().out
    assert "5 prompts: 0 samples bought for $0.0000" in said
    assert "about $0.0022, at most" in said
    assert (folder / "lake" / "catalog.duckdb").exists()


def test_a_probe_of_everything(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe of more prompts than there are asks all of them, once."""
    answers(folder)
    (folder / "spec.yaml").write_text(changed(**priced()))
    assert run(monkeypatch, "plan", "spec.yaml", "--probe", "500", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["probe"]["prompts"], made["probe"]["paid"], made["missing"], made["cost_usd"]) == (20, 40, 0, 0)


def test_a_probe_keeps_to_the_budget(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe stops where the budget is spent, with exit 4, and what it bought counts."""
    answers(folder)
    limited = teacher(price={"input": 1.0, "output": 2.0}, limits={"concurrency": 1})
    (folder / "spec.yaml").write_text(changed(teachers=limited, budget={"usd": 5 * 72e-6}))
    assert run(monkeypatch, "plan", "spec.yaml", "--probe", "20") == 4
    assert "budget.usd" in capsys.readouterr().err
    assert run(monkeypatch, "plan", "spec.yaml", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["stored"] in (5, 6)
    assert (made["budget_usd"], made["spent_usd"]) == (5 * 72e-6, pytest.approx(made["stored"] * 72e-6))


def test_no_probe_without_being_asked(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe of nothing is refused, and the help says that it spends."""
    assert run(monkeypatch, "plan", "spec.yaml", "--probe", "0") == 2
    assert "--probe" in capsys.readouterr().err
    monkeypatch.setenv("COLUMNS", "200")
    assert run(monkeypatch, "plan", "--help") == 0
    assert "SPENDS" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True], ids=["terminal", "json"])
def test_what_an_early_end_had_cost(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """A build that ends early says what it spent by then, on the terminal and in its one JSON object."""

    def spending(self: Launch, spec: Path, dataset: str, lake: str, console: object, progress: Progress, **asked: object) -> None:
        bought = progress.spending
        bought.paid, bought.cost_usd, bought.tokens_in, bought.tokens_out = 3, 0.25, 4_000, 50
        raise Interrupted("interrupted by SIGINT")

    monkeypatch.setattr("flows.process.launch.Launch.build", spending)
    (folder / "spec.yaml").write_text(changed())
    assert run(monkeypatch, "build", "spec.yaml", *(["--json"] if as_json else [])) == 130
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "this run bought 3 samples for $0.2500 (4,000 tokens in, 50 out)",
        "error: interrupted by SIGINT",
    ]
    if as_json:
        said = json.loads(captured.out)
        assert (said["exit"], said["paid"], said["cost_usd"]) == (130, 3, 0.25)
        assert (said["tokens_in"], said["tokens_out"]) == (4_000, 50)


@pytest.mark.parametrize("command", ["plan", "build"])
def test_json_of_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """With `--json`, stdout is one JSON object also where nothing began."""
    (folder / "spec.yaml").write_text(changed(prompts=source(license=None)))
    assert run(monkeypatch, command, "spec.yaml", "--json") == 3
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert said["exit"] == 3
    assert captured.err == f"error: {said['error']}\n"


@pytest.mark.parametrize(
    "arguments", [["show", "d", "--stage", "verfy"], ["plan"], ["build", "spec.yaml", "--bogus"]], ids=" ".join
)
def test_json_of_a_mistyped_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """With `--json`, stdout is one JSON object also where the command itself is wrong."""
    assert run(monkeypatch, *arguments, "--json") == 2
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert said["exit"] == 2
    assert captured.err == f"error: {said['error']}\n"


@pytest.mark.parametrize("said", ["", "here", "70000"])
def test_no_place_for_metrics(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    """A `--metrics` that is no port is a line and exit 2, before anything starts."""
    assert run(monkeypatch, "build", "spec.yaml", "--metrics", said) == 2
    assert "no PORT or HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "then"),
    [(["--version"], []), (["plan", "gone.yaml", "--json"], ["error: gone.yaml: no such file"])],
    ids=["a text", "an error as JSON"],
)
def test_a_disk_that_is_full_behind_stdout(arguments: list[str], then: list[str]) -> None:
    """Where stdout is a file that takes no more, that is one line and exit 2; an error that was to be written there is told too."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    first, *others = done.stderr.splitlines()
    assert (done.returncode, first) == (2, "error: stdout: can't be written: No space left on device")
    assert [line.partition(" (")[0] for line in others] == then
