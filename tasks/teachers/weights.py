"""A model's folder, as `save_pretrained` writes it: what it weighs, as one address.

A folder's name says nothing: a student that is trained again lies where the one before it lay, and is another model.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from storage.errors import SetupError, SpecError

READ = frozenset({".jinja", ".json", ".model", ".safetensors", ".tiktoken", ".txt"})
"""Kinds of files that decide an answer: weights, configuration, tokenizer, chat template."""
RECORDS = frozenset({"all_results.json", "distill.json", "eval_results.json", "train_results.json", "trainer_state.json"})
"""Files that trainers leave beside them, with times in them: the same weights would be another model."""

Stamp = tuple[tuple[str, int, int], ...]
"""Of each file its name, size and time of change: enough to notice that a folder is being written."""


def model_folder(name: str, *, where: str) -> Path:
    """Return the folder that a spec names. Raise SpecError where it can't be a model's."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise SpecError(
            f"{where}: model: no folder {name!r}; name a folder with a config.json and *.safetensors, such as what "
            "`stillhouse distill --to` or `hf download NAME/MODEL --local-dir` writes"
        )
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{where}: model: {name!r} has no config.json, so no whole model is saved there") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{where}: model: {folder / 'config.json'} can't be read: {error}") from error
    if not any(path.suffix == ".safetensors" for path in _files(folder)):
        raise SpecError(f"{where}: model: {name!r} has no *.safetensors; other forms of weights may run code, and aren't read")
    return folder


def digest(folder: Path) -> str:
    """Return the SHA-256 of all that decides what a model answers. Raise SetupError where it can't be read."""
    whole = hashlib.sha256()
    for path in _files(folder):
        try:
            with path.open("rb") as file:
                own = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise SetupError(f"{path}: can't be read: {error.strerror}") from error
        whole.update(path.name.encode() + b"\0" + own)
    return whole.hexdigest()


def stamp(folder: Path) -> Stamp:
    """Return what changes where a file of the model is written anew. Raise SetupError where it can't be read."""
    try:
        found = [(path.name, path.stat()) for path in _files(folder)]
    except OSError as error:
        raise SetupError(f"{folder}: can't be read: {error.strerror}") from error
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in READ and path.name not in RECORDS and path.is_file())
    except OSError as error:
        raise SetupError(f"{folder}: can't be read: {error.strerror}") from error
