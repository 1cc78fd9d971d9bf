"""The card, NOTICE and LICENSE of an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from storage.lake import Lake
from tasks.export import ExportOptions, export
from tasks.exports.card import hub_license
from tests.tasks.landed import LICENSE, land, trace

LICENSING: dict[str, Any] = {
    "license": "CC-BY-4.0 AND LicenseRef-llama-3.1",
    "sources": [{"source": "p.jsonl", "license": "CC-BY-4.0", "attribution": "Ada Lovelace, https://example.org/p"}],
    "teachers": [
        {
            "name": "big",
            "provider": "openai",
            "model": "llama-3.1-405b",
            "license": "LicenseRef-llama-3.1",
            "terms": "llama-3.1",
            "terms_url": "https://example.org/llama",
            "terms_as_of": "2026-11-20",
            "train_use": "restricted",
            "duties": ['Display "Built with Llama" in a prominent place.', "Name models that were trained on it Llama-…."],
            "acknowledgement": {"who": "Grace", "why": "research", "agreement": "contract 7"},
        }
    ],
    "text": [{"what": "template.system", "license": "CC0-1.0"}],
}


def texts(
    lake: Lake, rows: Any = 10, *, verdicts: Any = (), options: dict[str, Any] | None = None, **said: Any
) -> dict[str, str]:
    """Export, and return every document."""
    out = lake.root.parent / "out"
    build = land(lake, rows, verdicts=verdicts, **said)
    export(lake, build, ExportOptions(to=str(out), **(options or {})))
    return {path.name: path.read_text() for path in out.iterdir() if path.suffix not in {".parquet", ".tar"}}


def head(card: str) -> dict[str, Any]:
    """Return a card's YAML head."""
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


class TestHead:
    """What machines read of it."""

    def test_whole(self, lake: Lake):
        """Name, licence, size, task, tags, files by split, and the columns."""
        found = head(texts(lake, [trace(n, split="test" if n < 2 else "train") for n in range(10)])["README.md"])
        info = found.pop("dataset_info")
        assert found == {
            "pretty_name": "sums",
            "license": "other",
            "license_name": "cc-by-4.0-and-apache-2.0",
            "license_link": "LICENSE",
            "size_categories": ["n<1K"],
            "task_categories": ["text-generation"],
            "tags": ["synthetic", "distillation", "stillhouse", "m-1"],
            "configs": [
                {
                    "config_name": "default",
                    "data_files": [{"split": "train", "path": "train-*.parquet"}, {"split": "test", "path": "test-*.parquet"}],
                }
            ],
        }
        assert info["features"][:2] == [
            {"name": "messages", "list": [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]},
            {"name": "reasoning", "dtype": "string"},
        ]
        assert [(each["name"], each["num_examples"]) for each in info["splits"]] == [("train", 8), ("test", 2)]

    def test_one_license(self, lake: Lake):
        """A single licence has the Hub's name, and needs no LICENSE."""
        found = texts(lake, [trace(0, license="CC0-1.0")])
        assert head(found["README.md"])["license"] == "cc0-1.0"
        assert "LICENSE" not in found

    def test_language(self, lake: Lake):
        """The language is the one that a verifier lets pass, wherever it stands."""
        verify = [{"use": "all", "of": [{"use": "language", "expect": ["de", "fr"]}]}, {"use": "length"}]
        assert head(texts(lake, spec={"verify": verify})["README.md"])["language"] == ["de", "fr"]

    @pytest.mark.parametrize(
        ("expression", "name"),
        [
            ("MIT", "mit"),
            ("GPL-3.0-or-later", "gpl-3.0"),
            ("ODbL-1.0", "odbl"),
            ("CC-BY-SA-4.0", "cc-by-sa-4.0"),
            ("0BSD", None),
            ("MIT AND Apache-2.0", None),
            ("LicenseRef-mine", None),
        ],
    )
    def test_hub_license(self, expression: str, name: str | None):
        """The Hub has names of its own, and none for what consists of several."""
        assert hub_license(expression) == name


class TestText:
    """What people read of it."""

    def test_counts(self, lake: Lake):
        """Every sample's outcome, pass rates by teacher and verifier, generations, licences."""
        by_teacher = {
            "smol": {"requested": 40, "kept": 10, "pass_rate": 0.5},
            "judge": {"requested": 0, "kept": 0, "pass_rate": None},
        }
        passed = {True: [*range(6)], False: [6, 7, 8], None: [9]}
        verdicts = [{"sample_id": f"s{n}", "fingerprint": "f1", "passed": each} for each, some in passed.items() for n in some]
        verdicts += [{"sample_id": "of another dataset", "fingerprint": "f1", "passed": True}]
        verdicts += [{"sample_id": "s1", "fingerprint": "of an older version", "passed": False}]
        text = texts(
            lake,
            [trace(n, generation=n % 2, train_use="unknown" if n < 3 else "allowed") for n in range(10)],
            verdicts=verdicts,
            requested=40,
            kept=10,
            rejected={"verify": 20, "dedup": 3},
            failed=7,
            by_teacher=by_teacher,
            verifiers=[{"name": "exact_match", "version": "1", "fingerprint": "f1"}],
        )["README.md"]
        for line in (
            "| kept | 10 |",
            "| rejected: verify | 20 |",
            "| rejected: dedup | 3 |",
            "| failed: no response | 7 |",
            "| asked for | 40 |",
            "| `smol` | 40 | 10 | 50.0% |",
            "| `exact_match` | 6 | 3 | 1 | 66.7% |",
            "| 0 | 5 |",
            "| 1 | 5 |",
            f"| `{LICENSE}` | 10 |",
            "- Training a model on them is unknown for 3 traces, by the terms above.",
            "10 rows in the form `messages`",
        ):
            assert line in text
        assert "judge" not in text

    def test_the_spec(self, lake: Lake):
        """The spec stands in it, as YAML that reads back, whatever it says."""
        spec = {"dataset": "sums", "template": {"system": "````\nstop"}}
        text = texts(lake, spec=spec)["README.md"]
        assert yaml.safe_load(text.split("`````yaml\n")[1].split("\n`````")[0]) == spec

    def test_nothing_checked(self, lake: Lake):
        """Without a verifier it says so, and nothing is called verified, nor deduplicated where nothing was compared."""
        found = texts(lake)
        assert "nobody checked whether responses are right" in found["README.md"]
        assert "to prompts, selected by stillhouse" in found["README.md"]
        assert json.loads(found["croissant.json"])["description"].startswith("Responses of")
        assert "responses were deduplicated and selected." in " ".join(found["NOTICE"].split())
        found = texts(lake, spec={"dedup": {"exact": False}}, verifiers=[{"name": "x", "version": "1", "fingerprint": "f"}])
        assert "to prompts, verified and selected by stillhouse" in found["README.md"]
        assert json.loads(found["croissant.json"])["description"].startswith("Verified responses of")
        assert "responses were verified and selected." in " ".join(found["NOTICE"].split())

    def test_empty(self, lake: Lake):
        """A build without a trace has a card too."""
        assert "0 rows" in texts(lake, 0)["README.md"]

    def test_how_to_load(self, lake: Lake):
        """A tar is loaded otherwise."""
        text = texts(lake, options={"format": "webdataset", "shards": 3})["README.md"]
        assert 'WebDataset("FOLDER/train-{00000..00002}-of-00003.tar"' in text
        assert [each["name"] for each in head(text)["dataset_info"]["features"]] == ["__key__", "__url__", "json"]

    def test_names_that_break_tables(self, lake: Lake):
        """A source's name can't break out of its cell."""
        assert "| `a\\|b'c` |" in texts(lake, [trace(0, prompt_source="a|b`c")])["README.md"]


class TestLicensing:
    """What the build says of rights and duties."""

    def test_notice(self, lake: Lake):
        """NOTICE carries out what is owed: credit, names, terms with their date, who acknowledged what."""
        found = texts(lake, licensing=LICENSING)
        for line in (
            "Credit: Ada Lovelace, https://example.org/p",
            "Licence: CC-BY-4.0",
            "llama-3.1-405b (teacher big, asked through openai)",
            "Terms: llama-3.1, as of 2026-11-20: https://example.org/llama",
            "Training on its output: restricted",
            'Duty: Display "Built with Llama" in a prominent place.',
            "Acknowledged by Grace: research (agreement: contract 7)",
            "template.system",
            "CC-BY-4.0: https://spdx.org/licenses/CC-BY-4.0.html",
            "CC0-1.0: https://spdx.org/licenses/CC0-1.0.html",
        ):
            assert line in found["NOTICE"]
        for line in (
            "**Built with Llama**",
            "- terms: [llama-3.1](https://example.org/llama), as of 2026-11-20",
            "- acknowledged by Grace: research (agreement: contract 7)",
            "- Name models that were trained on it Llama-….",
            "| `p.jsonl` | `CC-BY-4.0` ([CC-BY-4.0](https://spdx.org/licenses/CC-BY-4.0.html)) | `Ada Lovelace, https://example.org/p` |",
        ):
            assert line in found["README.md"]
        assert found["LICENSE"].startswith("SPDX-License-Identifier: CC-BY-4.0 AND LicenseRef-llama-3.1\n")

    @pytest.mark.parametrize("name", ["GPL-2.0-or-later WITH Classpath-exception-2.0", "Apache-2.0+"])
    def test_addresses(self, lake: Lake, name: str):
        """A licence with an exception, or with later versions, is read where the licence itself is."""
        found = texts(lake, [trace(0, license=name, prompt_license=name)])
        address = f"https://spdx.org/licenses/{name.split(' ', maxsplit=1)[0].rstrip('+')}.html"
        assert f"{name}: {address}\n" in found["LICENSE"]
        assert f"[{name}]({address})" in found["README.md"]
        assert f'"{address}"' in found["croissant.json"]

    def test_of_an_older_build(self, lake: Lake):
        """Where the build's manifest doesn't say, the traces do, and Llama's name is known."""
        given = [trace(0), trace(1, teacher="big", model="Llama-3.3-70B", teacher_license="LicenseRef-llama", terms="llama-3.3")]
        notice = texts(lake, given)["NOTICE"]
        assert "* m-1 (teacher smol, asked through replay)\n  Licence: Apache-2.0" in notice
        assert "* Llama-3.3-70B (teacher big)\n  Licence: LicenseRef-llama\n  Terms: llama-3.3\n" in notice
        assert 'Duty: Display "Built with Llama"' in notice
        assert "* p.jsonl\n  Licence: CC-BY-4.0\n  Credit: p.jsonl\n" in notice

    @pytest.mark.parametrize(
        ("name", "credit"), [("ODC-By-1.0", True), ("MIT OR ODbL-1.0", True), ("CC-BY-SA-4.0", True), ("CC0-1.0", False)]
    )
    def test_credit(self, lake: Lake, name: str, credit: bool):
        """Licences that data sets have ask for it; where nobody is named, the source is."""
        notice = texts(lake, [trace(0, license=name, prompt_license=name)])["NOTICE"]
        assert ("Credit: p.jsonl" in notice) is credit

    def test_no_other_is_llama(self, lake: Lake):
        """A model that only sounds like it owes nothing."""
        assert "Built with" not in texts(lake, [trace(0, model="ollama/qwen-3")])["NOTICE"]


def test_nothing_of_this_machine(lake: Lake, tmp_path: Path):
    """No document names the lake or the folder that it was written in."""
    assert not [name for name, text in texts(lake).items() if str(tmp_path) in text]
