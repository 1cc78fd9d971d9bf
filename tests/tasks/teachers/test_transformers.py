"""What a spec may say of a model's folder; tests/train asks one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.errors import SpecError
from tasks.teachers.transformers import make
from tasks.teachers.weights import revision
from tests.fakes import make_options, make_request


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Have a folder that looks like a model's."""
    made = tmp_path / "student"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"weights")
    return made


def options(folder: Path | str, **more: Any) -> Any:
    """Return a teacher's options."""
    return make_options(provider="transformers", model=str(folder), **more)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"base_url": "http://127.0.0.1:1/v1"}, "drop base_url"),
        ({"api": "responses"}, "only provider openai"),
        ({"extra_body": {"min_p": 0.1}}, "knows chat_template_kwargs alone"),
        ({"extra_body": {"chat_template_kwargs": [1]}}, "knows chat_template_kwargs alone"),
    ],
)
def test_refused(folder: Path, more: dict[str, Any], told: str):
    """What has no sense for it is one line that says so."""
    with pytest.raises(SpecError, match=told):
        make(options(folder, **more), api_key=None)


def test_folders_that_are_no_models(folder: Path):
    """Each kind of wrong folder has its own line."""
    with pytest.raises(SpecError, match="no folder 'nobody/nothing'"):
        make(options("nobody/nothing"), api_key=None)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SpecError, match=r"no \*\.safetensors"):
        make(options(folder), api_key=None)
    (folder / "config.json").write_text("{")
    with pytest.raises(SpecError, match="can't be read"):
        make(options(folder), api_key=None)
    (folder / "config.json").unlink()
    with pytest.raises(SpecError, match=r"no config\.json"):
        make(options(folder), api_key=None)


def test_identity(folder: Path):
    """The weights decide who it is, and a trainer's records don't."""
    before = make(options(folder), api_key=None).identity
    (folder / "distill.json").write_text(json.dumps({"elapsed_s": 1}))
    assert make(options(folder), api_key=None).identity == before
    (folder / "model.safetensors").write_bytes(b"weightz")
    assert make(options(folder), api_key=None).identity != before


def test_revision(folder: Path):
    """Its revision is the folder's, as a student's of the same folder is."""
    assert make(options(folder), api_key=None).revision == revision(folder)


async def test_a_judges_request(folder: Path):
    """A drawing teacher that judges as well would have its form ignored: that is said, and nothing is loaded."""
    teacher = make(options(folder), api_key=None)
    with pytest.raises(SpecError, match="response_format: provider transformers can't"):
        await teacher.complete(make_request(parameters={"temperature": 0, "response_format": {"type": "json_schema"}}))
    await teacher.aclose()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"temperature": 1}, "sampling.max_tokens: provider transformers needs it"),
        ({"max_tokens": 5, "thinking": {"effort": "low"}}, "sampling.thinking: provider transformers can't"),
    ],
)
def test_sampling(folder: Path, parameters: dict[str, Any], told: str):
    """What it can't do is said before anything is asked."""
    with pytest.raises(SpecError, match=told):
        make(options(folder), api_key=None).check(parameters)
