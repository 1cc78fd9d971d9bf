"""A model's folder, as `save_pretrained` writes it: what it weighs, as one address.

A folder's name says nothing: a student that is trained again lies where the one before it lay, and is another model.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from storage.errors import SetupError, SpecError

READ = frozenset({".jinja", ".json", ".model", ".safetensors", ".tiktoken", ".txt"})
"""Kinds of files that decide an answer: weights, configuration, tokenizer, chat template."""
OTHER_WEIGHTS = frozenset({".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".pt", ".pth"})
"""Forms of weights that nobody here loads, and that tell one student from another where there are no others."""
RECORDS = frozenset({"all_results.json", "distill.json", "eval_results.json", "train_results.json", "trainer_state.json"})
"""Files that trainers leave beside them, with times in them: the same weights would be another model."""

Stamp = tuple[tuple[str, int, int], ...]
"""Of each file its name, size and time of change: enough to notice that a folder is being written."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


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
    return _together(_files(folder))


def stamp(folder: Path) -> Stamp:
    """Return what changes where a file of the model is written anew. Raise SetupError where it can't be read."""
    return _stamp(_files(folder))


def revision(place: Path) -> str:
    """Return which revision of a model, or of a tokenizer, lies in a folder, or in a GGUF file. Raise SetupError.

    A commit where that is a snapshot in a cache of the Hub's, and else `sha256:` with the digest of its content.
    """
    if place.is_file():
        return _of_file(place, _stamp([place]))
    if (found := commit(place)) is not None:
        return found
    files = _files(place)
    if not any(path.suffix == ".safetensors" for path in files):
        files = _files(place, READ | OTHER_WEIGHTS)
    return _of_files(tuple(files), _stamp(files))


def commit(place: Path) -> str | None:
    """Return the commit of the snapshot that a folder or a file of a cache of the Hub's lies in; None where it lies in none."""
    # A file there is a link to what has no commit in its path, and a folder may be linked to from elsewhere.
    for parts in (place.absolute().parts, place.resolve().parts):
        for repository, kind, name in zip(parts, parts[1:], parts[2:], strict=False):
            if repository.startswith("models--") and kind == "snapshots" and _COMMIT.fullmatch(name):
                return name
    return None


# Files of gigabytes: what was read once holds while name, size and time of change are the same.
@functools.lru_cache(maxsize=16)
def _of_file(path: Path, stamp: Stamp) -> str:  # noqa: ARG001
    return f"sha256:{_content(path).hex()}"


@functools.lru_cache(maxsize=16)
def _of_files(files: tuple[Path, ...], stamp: Stamp) -> str:  # noqa: ARG001
    return f"sha256:{_together(files)}"


def _together(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.name.encode() + b"\0" + _content(path))
    return whole.hexdigest()


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise SetupError(f"{path}: can't be read: {error.strerror}") from error


def _stamp(files: Iterable[Path]) -> Stamp:
    found = []
    for path in files:
        try:
            status = path.stat()
        except OSError as error:
            raise SetupError(f"{path}: can't be read: {error.strerror}") from error
        found.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _files(folder: Path, kinds: frozenset[str] = READ) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in kinds and path.name not in RECORDS and path.is_file())
    except OSError as error:
        raise SetupError(f"{folder}: can't be read: {error.strerror}") from error
