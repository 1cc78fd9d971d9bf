"""Provider terms: the table that comes with stillhouse, one's own, and which entry binds a teacher."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from storage.errors import SpecError
from tasks.rights import terms
from tasks.rights.terms import Terms, ids, load

OURS = load()


def found(model: str, *urls: str | None, provider: str = "openai") -> list[str]:
    """Return the ids of what binds a teacher."""
    return [each.id for each in OURS.of(provider=provider, urls=urls or (None,), model=model)]


BOUND = {
    "the provider's own address": (("gpt-5", None), ["openai"]),
    "a model nobody knows, there": (("m", None), ["openai"]),
    "its address, spelt out": (("m", "https://API.openai.com/v1"), ["openai"]),
    "its address, from the root": (("m", "https://api.openai.com./v1"), ["openai"]),
    "a region's": (("m", "https://eu.api.openai.com/v1"), ["openai"]),
    "another provider through the same API": (("mistral-large-latest", "https://api.mistral.ai/v1"), ["mistral-api"]),
    "xAI's": (("grok-4-fast", "https://eu-west-1.api.x.ai/v1"), ["xai"]),
    "Grok elsewhere": (("x-ai/grok-4", "https://proxy.example.org"), ["xai"]),
    "open weights of xAI's": (("xai-org/grok-1", "http://127.0.0.1:8000/v1"), []),
    "an older model of OpenAI's elsewhere": (("openai/text-davinci-003", "http://127.0.0.1:4000/v1"), ["openai"]),
    "DeepSeek's": (("deepseek-chat", "https://api.deepseek.com"), ["deepseek-api"]),
    "a server of one's own": (("m", "http://127.0.0.1:8000/v1"), []),
    "an address that only looks so": (("m", "https://api.openai.com.example.org/v1"), []),
    "a model of theirs through a proxy": (("openai/gpt-4o-mini", "http://127.0.0.1:4000/v1"), ["openai"]),
    "Claude elsewhere": (("eu.anthropic.claude-sonnet-4", "https://proxy.example.org"), ["anthropic"]),
    "open weights of OpenAI's": (("openai/gpt-oss-20b", "http://127.0.0.1:8000/v1"), []),
    "both a service's and the weights'": (
        ("gemma-3-27b-it", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ["gemini-api", "gemma"],
    ),
    "an Azure deployment, whatever it is called": (("tutor", "https://acme.openai.azure.com/openai/v1"), ["microsoft-azure"]),
    "one that says which model it is": (("gpt-4o", "https://acme.cognitiveservices.azure.com/openai/v1"), ["microsoft-azure"]),
    "another's model there": (
        ("claude-sonnet-4", "https://acme.services.ai.azure.com/anthropic"),
        ["microsoft-azure", "anthropic"],
    ),
    "weights there": (("Llama-3.3-70B", "https://m.eastus.models.ai.azure.com"), ["microsoft-azure", "llama-3.3"]),
    "Bedrock": (("amazon.nova-pro-v1:0", "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1"), ["aws-bedrock"]),
    "Claude on Bedrock": (
        ("eu.anthropic.claude-sonnet-4", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ["aws-bedrock", "anthropic"],
    ),
    "Vertex": (("google/gemini-2.5-pro", "https://europe-west4-aiplatform.googleapis.com/v1"), ["google-cloud"]),
    "Claude on Vertex": (("claude-opus-4", "https://aiplatform.googleapis.com/v1"), ["google-cloud", "anthropic"]),
    "another company's storage": (("m", "https://bucket.s3.eu-west-1.amazonaws.com"), []),
    "one replica of two": (("m", "http://127.0.0.1/v1", "https://api.openai.com/v1"), ["openai"]),
}


@pytest.mark.parametrize(("asked", "expected"), BOUND.values(), ids=BOUND)
def test_services(asked: tuple[str, ...], expected: list[str]):
    """The address says whose terms hold; a server of one's own is nobody's, unless the model's name says that it passes on."""
    assert found(*asked) == expected


def test_providers():
    """A provider's own address is known; who asks nobody is bound by the model's licence alone."""
    assert found("claude-1", None, provider="anthropic") == ["anthropic"]
    for provider in ("local", "simulate"):
        assert found("gpt-5", None, provider=provider) == []
        assert found("Llama-3.1-8B", None, provider=provider) == ["llama-3.1"]
    assert found("m", None, provider="a-plug-in") == []


def test_recorded_answers():
    """What a model answered is under its service's terms, whoever asked it."""
    assert found("gpt-5", None, provider="replay") == ["openai"]
    assert found("m", None, provider="replay") == []


WEIGHTS = {
    "meta-llama/Llama-2-7b-chat-hf": "llama-2",
    "codellama/CodeLlama-34b": "llama-2",
    "meta-llama/Meta-Llama-3-70B-Instruct": "llama-3",
    "llama3:8b": "llama-3",
    "meta-llama/Llama-3.1-8B-Instruct": "llama-3.1",
    "llama3.1:70b": "llama-3.1",
    "us.meta.llama3-1-70b-instruct-v1:0": "llama-3.1",
    "accounts/fireworks/models/llama-v3p1-8b-instruct": "llama-3.1",
    "Llama-3.2-1B": "llama-3.2",
    "llama-3.3-70b-versatile": "llama-3.3",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": "llama-3.3",
    "meta-llama/Llama-4-Scout-17B-16E": "llama-4",
    "google/gemma-2-9b-it": "gemma",
    "gemma3:27b": "gemma",
    "google/gemma-4-12b": None,
    "Qwen/Qwen-72B-Chat": "tongyi-qianwen",
    "Qwen/Qwen-1_8B": "tongyi-qianwen-research",
    "Qwen/Qwen2.5-72B-Instruct": "qwen",
    "Qwen/Qwen2.5-3B-Instruct": "qwen-research",
    "Qwen/Qwen2.5-7B-Instruct": None,
    "Qwen/Qwen3-32B": None,
    "deepseek-ai/DeepSeek-V3": "deepseek-license",
    "deepseek-ai/DeepSeek-V3-0324": None,
    "deepseek-ai/DeepSeek-R1": None,
    "mistralai/Mistral-7B-Instruct-v0.3": None,
    "smollm2-135m-instruct": None,
    "openai/gpt-oss-120b": None,
    "m": None,
}


@pytest.mark.parametrize(("model", "expected"), WEIGHTS.items(), ids=WEIGHTS)
def test_weights(model: str, expected: str | None):
    """However a server spells it, a model's name says which licence its weights are under; open ones have no terms."""
    assert found(model, "http://127.0.0.1:8000/v1") == ([expected] if expected else [])


def test_the_table_is_whole():
    """Every entry says where its text is and how it is known; one that was read has its date, and one that was quoted its section."""
    assert len({each.id for each in OURS.agreements}) == len(OURS.agreements)
    for each in OURS.agreements:
        if each.id == "open-weights":
            continue
        assert each.url is not None
        assert each.url.startswith("https://")
        assert each.basis != "text" or each.as_of is not None
        assert each.basis == "report" or each.section


def test_the_docs_have_the_table():
    """docs/licences.md has a row for every entry, with its id, what it allows and its date."""
    text = (Path(__file__).parents[3] / "docs" / "licences.md").read_text(encoding="utf-8")
    table = text.partition("| `terms` | training other models |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([a-z0-9.-]+)` \| (.*)$", table, re.MULTILINE))
    assert list(rows) == [each.id for each in OURS.agreements]
    for each in OURS.agreements:
        assert f"| {each.training}" in f"| {rows[each.id]}"
        assert str(each.as_of or "not known") in rows[each.id]


class TestOneOwn:
    """A file of one's own."""

    @staticmethod
    def write(folder: Path, text: str) -> str:
        """Write the file and return its path."""
        path = folder / "my.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    ENTRY = "terms:\n  - {id: openai, name: Ours, kind: service, hosts: [api.openai.com], training: allowed, clause: c, basis: text}\n"

    def test_replaces(self, tmp_path: Path):
        """An entry takes the place of ours of the same id, and the others stay."""
        table = load(self.write(tmp_path, self.ENTRY))
        assert [each.name for each in table.of(provider="openai", urls=(None,), model="gpt-5")] == ["Ours"]
        assert {each.id for each in table.agreements} == {each.id for each in OURS.agreements}

    def test_adds(self, tmp_path: Path):
        """A new one comes first, so that it can say more of some of a provider's models."""
        text = "terms:\n  - {id: ours, name: N, kind: model, models: ['*-r2'], training: unknown, clause: c, basis: text}\n"
        table = load(self.write(tmp_path, text))
        assert ids(table.of(provider="local", urls=(None,), model="llama-3.1-R2")) == "ours"

    def test_by_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """STILLHOUSE_TERMS names a file for every spec that names none."""
        monkeypatch.setenv(terms.VARIABLE, self.write(tmp_path, self.ENTRY))
        assert load().find("openai", what="x").name == "Ours"
        monkeypatch.setenv(terms.VARIABLE, str(tmp_path / "none.yaml"))
        with pytest.raises(SpecError, match=r"none\.yaml \(named by STILLHOUSE_TERMS\): the terms can't be read: No such file"):
            load()

    WRONG = {
        "not YAML": ("terms: [", "not YAML"),
        "no list": ("terms: {}", "must be a mapping with one key, `terms`"),
        "another key": ("term: []", "must be a mapping with one key, `terms`"),
        "empty": ("", "must be a mapping with one key, `terms`"),
        "no mapping": ("terms: [openai]", r"terms\[0\]: must be a mapping"),
        "no clause": (ENTRY.replace("clause: c, ", ""), r"terms\[0\]\.clause: is missing"),
        "an unknown key": (ENTRY.replace("clause:", "clauses:"), r"terms\[0\]\.clauses: unknown key; did you mean 'clause'\?"),
        "an unknown word": (
            ENTRY.replace("allowed", "maybe"),
            r"terms\[0\]\.training: must be 'allowed', 'restricted' or 'unknown'",
        ),
        "a date that is none": (ENTRY.replace("clause: c", "clause: c, as_of: soon"), r"terms\[0\]\.as_of: "),
        "an id with a comma": (ENTRY.replace("id: openai", "id: 'a, b'"), r"terms\[0\]\.id: "),
        "one twice": (ENTRY + ENTRY.removeprefix("terms:\n"), r"terms\[1\]\.id: 'openai' stands twice"),
    }

    @pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
    def test_wrong(self, tmp_path: Path, text: str, said: str):
        """What is wrong in it is told with the file and the place."""
        with pytest.raises(SpecError, match=rf"my\.yaml: {said}"):
            load(self.write(tmp_path, text))


def test_unknown():
    """An id that the table hasn't is told with the nearest that it has."""
    with pytest.raises(SpecError, match=r"here: no terms are called 'opneai'; did you mean 'openai'\?"):
        OURS.find("opneai", what="here")
    assert Terms(agreements=()).known("openai") is None
