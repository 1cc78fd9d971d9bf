"""Whose distributions an export has: the gate looks at a scorer as at a teacher, and NOTICE, card and rows name it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.checks import check
from flows.exporting import export_build
from flows.loading import load_spec
from storage.errors import LicenseRefused, SpecError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SCORES
from tasks.export import ExportOptions
from tests.fakes import NOON
from tests.tasks import landed
from tests.tasks.exporters import students
from tests.tasks.exporters.distributions import drawn

TEACHERS = [
    {"name": "smol", "provider": "replay", "model": "m-1", "license": "Apache-2.0"},
    {"name": "big", "provider": "transformers", "model": "models/big", "license": "CC-BY-4.0", "draw": False},
]
RESTRICTED = """
terms:
  - {id: house, name: House terms, kind: model, models: [big], training: restricted, clause: "No.", basis: text, duties: [Say so]}
"""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a student's tokenizer."""
    return students.small(tmp_path_factory.mktemp("student"))


def land(lake: Lake, student: str, *, teachers: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    """Land three traces, of which the first two are scored by the big model, and return the manifest."""
    from transformers import AutoTokenizer

    from tasks.exporters.chat import vocabulary_of

    with lake.writing(print):
        pass
    build = landed.land(lake, [landed.trace(n, sample_id=f"{n:032x}", reasoning=None) for n in range(3)])
    tokenizer = AutoTokenizer.from_pretrained(student)
    rows = []
    for n in range(2):
        tokens = tokenizer.encode(f"A{n}", add_special_tokens=False)
        given = drawn(vocabulary_of(student).tokens, tokens, top=3).as_py()
        whose = {"scorer": "big", "provider": "transformers", "model": "models/big", "fingerprint": "f1", "top": 3}
        rows.append({"sample_id": f"{n:032x}", "logprobs": given, "created_at": NOON} | whose)
    write_rows(lake.root / "scores" / "a.parquet", SCORES, rows)
    build["spec"] = {"dataset": "sums", "seed": 7, "teachers": teachers} | spec
    return build


def exported(lake: Lake, build: dict[str, Any], student: str, **own: Any) -> Path:
    """Export soft labels by the big model, and return the folder."""
    to = lake.root.parent / "out"
    given = {"tokenizer": student, "min_aligned": 0.1, "scores": "big"} | own
    options = ExportOptions.model_validate({"format": "soft", "to": str(to)} | given)
    export_build(lake, build, options)
    return to


def test_said(lake: Lake, student: str) -> None:
    """NOTICE and card name the scorer with licence; rows that it gave something to are under its licence as well."""
    to = exported(lake, land(lake, student, teachers=TEACHERS), student)
    notice, card = (to / "NOTICE").read_text(), (to / "README.md").read_text()
    section = notice.partition("Distributions beside the tokens, made by these models\n")[2].partition("\n\n")[0]
    assert "* models/big (teacher big, asked through transformers)\n  Licence: CC-BY-4.0" in section
    assert "The rows as a whole are under: CC-BY-4.0 AND Apache-2.0" in notice
    assert "**`models/big`** (gave the distributions beside the tokens, as teacher `big`), licence `CC-BY-4.0`" in card
    assert "models/big" in card.partition("---\n")[2].partition("---\n")[0]
    teachers = [TEACHERS[0], TEACHERS[1] | {"license": "MIT"}]
    to = exported(lake, land(lake, student, teachers=teachers), student)
    rows = pq.read_table(to / "train-00000-of-00001.parquet").to_pylist()
    assert [row["license"] for row in rows] == [f"{landed.LICENSE} AND MIT"] * 2 + [landed.LICENSE]
    manifest = json.loads((to / "manifest.json").read_text())
    assert manifest["license"] == f"{landed.LICENSE} AND MIT"
    assert (manifest["scorer"]["name"], manifest["scorer"]["license"]) == ("big", "MIT")


def test_refused(lake: Lake, student: str, tmp_path: Path) -> None:
    """Without a licence, with one that isn't allowed, or under terms that nobody has acknowledged, nothing is exported."""
    nameless = [TEACHERS[0], {name: value for name, value in TEACHERS[1].items() if name != "license"}]
    with pytest.raises(LicenseRefused, match="teacher 'big' has no license"):
        exported(lake, land(lake, student, teachers=nameless), student)
    with pytest.raises(LicenseRefused, match=r"teacher 'big' is licensed CC-BY-4.0, and licenses.deny"):
        exported(lake, land(lake, student, teachers=TEACHERS, licenses={"deny": ["CC-BY-4.0"]}), student)
    (tmp_path / "terms.yaml").write_text(RESTRICTED)
    licenses: dict[str, Any] = {"terms": str(tmp_path / "terms.yaml")}
    with pytest.raises(LicenseRefused, match="teacher 'big' is under House terms"):
        exported(lake, land(lake, student, teachers=TEACHERS, licenses=licenses), student)
    assert not (lake.root.parent / "out").exists()
    licenses["acknowledge"] = [{"teacher": "big", "who": "Ada", "why": "research", "agreement": "contract 7"}]
    to = exported(lake, land(lake, student, teachers=TEACHERS, licenses=licenses), student)
    notice = (to / "NOTICE").read_text()
    assert "Training on its output: restricted" in notice
    assert "Duty: Say so" in notice
    assert "Acknowledged by Ada: research (agreement: contract 7)" in notice
    assert "Training a model on the distributions of `models/big` is restricted" in (to / "README.md").read_text()


def test_unknown(lake: Lake, student: str) -> None:
    """A scorer that is no teacher of the spec, as a folder may be, has no licence that anybody knows."""
    build = land(lake, student, teachers=TEACHERS[:1])
    with pytest.raises(SpecError, match=r"--spec names another\): no teacher of the spec is named 'big', so nobody knows"):
        exported(lake, build, student)


def test_before_anything_is_spent(tmp_path: Path, student: str) -> None:
    """A spec whose export wants scores is refused at the start where its scorer would be at the end."""
    (tmp_path / "p.jsonl").write_text('{"prompt": "p"}\n')
    (tmp_path / "a.jsonl").write_text('{"prompt": "p", "response": "A"}\n')

    def checked(**big: Any) -> None:
        teachers = [TEACHERS[0] | {"path": str(tmp_path / "a.jsonl")}, TEACHERS[1] | {"model": student} | big]
        exports = [{"format": "soft", "to": str(tmp_path / "out"), "tokenizer": student, "scores": "big"}]
        prompts = [{"source": str(tmp_path / "p.jsonl"), "license": "MIT"}]
        path = tmp_path / "spec.yaml"
        path.write_text(json.dumps({"dataset": "d", "prompts": prompts, "teachers": teachers, "exports": exports}))
        check(load_spec(path), path, Lake(tmp_path / "lake"))

    checked()
    with pytest.raises(LicenseRefused, match=r"teachers\[1\] \(big\) has no license"):
        checked(license=None)
    with pytest.raises(SpecError, match=r"exports\[0\].scores: no teacher of the spec is named 'big'"):
        checked(name="other")
