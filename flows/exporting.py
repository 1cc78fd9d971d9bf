"""From the flags of `stillhouse export` to an export's options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from flows.loading import problem
from storage.errors import SpecError
from tasks.export import ExportOptions


def options_of(flags: Mapping[str, Any], pairs: Sequence[str], *, mix: Sequence[str] = ()) -> ExportOptions:
    """Return what flags, `KEY=VALUE` pairs and entries of `mix` say. A value is read as in a spec.

    Raise SpecError, which names the flag.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if mix:
        given["mix"] = [_read(each, f"--mix {each}") for each in mix]
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise SpecError(f"--option {pair}: must be KEY=VALUE, as in --option max_length=4096")
        if name in ExportOptions.model_fields:
            raise SpecError(f"--option {pair}: {name} has a flag of its own, --{name.replace('_', '-')}")
        if name in given:
            raise SpecError(f"--option {pair}: {name} is given twice")
        given[name] = _read(text, f"--option {pair}")
    try:
        return ExportOptions(**given)
    except ValidationError as error:
        location, message = problem(error, ExportOptions)
        flag = f"--{str(location[0]).replace('_', '-')}: " if location else ""
        raise SpecError(f"{flag}{message}") from error


def _read(text: str, flag: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"{flag}: the value can't be read as YAML: {str(error).splitlines()[0]}") from error
