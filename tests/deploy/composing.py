"""deploy/compose.yaml as Compose reads it: with the variables of an .env file put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<else>[^}]*))?\})")


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """Return a text with `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` as Compose reads them."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        given = values.get(match["name"], "")
        if given or match["how"] is None:
            return given
        if match["how"] == ":?":
            raise KeyError(f"{match['name']}: {match['else']}")
        return match["else"]

    return _VARIABLE.sub(value, text)


def loaded(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the file's content, as Compose has it after interpolation and merges."""

    def put_in(node: Any) -> Any:
        if isinstance(node, str):
            return interpolated(node, values)
        if isinstance(node, list):
            return [put_in(each) for each in node]
        return {name: put_in(each) for name, each in node.items()} if isinstance(node, dict) else node

    content: dict[str, Any] = put_in(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    return content
