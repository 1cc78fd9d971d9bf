"""From a YAML file to a `Spec`: an error is one line with the file, the line, the path in it, and the nearest known name."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flows.spec import Spec
from storage.errors import LakeDamaged, SetupError, SourceError, SpecError, StorageError, UserError
from tasks import problems
from tasks.problems import Location, dotted

_NAMED = re.compile(r"[a-z_]+(?:\[\d+\]|\.[a-z_]+)*")
_KEY = re.compile(r"[a-z_]+|\d+")
_HALF = re.compile("[\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key that stands twice, of which YAML libraries silently keep the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key.start_mark)
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Return a text. Two halves of a character, as JSON escapes one beyond 16 bits, are that character."""
    text = str(loader.construct_scalar(node))
    if _HALF.search(text) is None:
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise yaml.constructor.ConstructorError(
            None, None, "half of a surrogate pair is no character", node.start_mark
        ) from error


_Loader.add_constructor("tag:yaml.org,2002:str", _text)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def lake_named(lake: str | None) -> str:
    """Return the lake that a flow is given or, where it is given none, the one that the command line would take."""
    return lake or os.environ.get("STILLHOUSE_LAKE") or "lake"


def load_spec(path: Path) -> Spec:
    """Read and check a spec. Raise SpecError at what is wrong first."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file (looked in {Path.cwd()})") from None
    except OSError as error:
        raise SpecError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SpecError(f"{path}:{line}: not UTF-8: byte 0x{error.object[error.start]:02x}") from error
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            content = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}:{line}: not YAML: {error.problem or error.context}") from error
    except RecursionError as error:
        raise SpecError(f"{path}: not YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if root is None or not isinstance(content, dict):
        raise SpecError(f"{path}: a spec is a mapping with `dataset`, `prompts`, `teachers`, …; see `stillhouse init`")
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        raise SpecError(_first(path, root, error)) from error


def where(path: Path, location: Location) -> str:
    """Return a place in a spec for a message: `spec.yaml:9: teachers[0].model`; without the line where the file is gone."""
    if not location:
        return str(path)
    try:
        root = _composed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        root = None
    line = "" if root is None else f":{_line(root, location)}"
    return f"{path}{line}: {dotted(location)}"


@contextlib.contextmanager
def placed(path: Path) -> Iterator[None]:
    """Name the spec's file and line where an error begins with a place in it, as those do that are raised without either."""
    try:
        yield
    except UserError as error:
        said = str(error).removeprefix(f"{path}: ")
        named = _NAMED.match(said)
        if named and said[named.end() :].startswith((":", ",")) and _keys(named)[0] in Spec.model_fields:
            error.args = (f"{where(path, _keys(named))}{said[named.end() :]}", *error.args[1:])
        raise


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """Begin with a place in the spec what is said of an input that it names; a damaged lake says all itself."""
    try:
        yield
    except LakeDamaged:
        raise
    except (SourceError, SetupError, StorageError) as error:
        raise type(error)(f"{place}: {error}") from error


def _keys(named: re.Match[str]) -> Location:
    return tuple(int(key) if key.isdigit() else key for key in _KEY.findall(named[0]))


@functools.lru_cache(maxsize=4)
def _composed(text: str) -> yaml.Node | None:
    """Return a spec's nodes: places are named for every teacher and verifier, mostly for errors that never come."""
    return yaml.compose(text, Loader=_Loader)


def problem(error: ValidationError, model: type[BaseModel] | None = None) -> tuple[Location, str]:
    """Return where a validation failed first and why, in one line."""
    return problems.problem(error, lambda location: _known(model, location))


def _first(path: Path, root: yaml.Node, error: ValidationError) -> str:
    location, message = problem(error, Spec)
    # What a whole model finds wrong begins with the place in it.
    named = _NAMED.match(message)
    within = _keys(named) if named else ()
    place = f"{path}:{_line(root, (*location, *within))}"
    return f"{place}: {dotted(location)}: {message}" if location else f"{place}: {message}"


def _line(node: yaml.Node, location: Location) -> int:
    """Return the line of the place, or of its nearest parent that stands in the file."""
    line = node.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _known(model: type[BaseModel] | None, location: Location) -> list[str]:
    """Return the keys that a mapping at a place may have."""
    current = model
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        current = None if field is None else _model(field.annotation)
    return [] if current is None else list(current.model_fields)


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)
