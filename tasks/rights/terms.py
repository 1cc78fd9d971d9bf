"""Provider terms: what they say of training other models, in a dated table that users can override (`terms.yaml`).

A teacher's terms are those that its spec names, else those of the service that it asks, by the address's host, and of the
weights, by the model's name. A server of one's own is no provider, whatever API it speaks.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, StringConstraints, ValidationError

from storage.errors import SpecError
from storage.plugins import nearest
from tasks.options import Options

TABLE = Path(__file__).with_name("terms.yaml")
VARIABLE = "STILLHOUSE_TERMS"
"""The environment variable that names a file of one's own."""
HOSTS = {"anthropic": "api.anthropic.com", "openai": "api.openai.com"}
"""Whom a provider asks where a teacher has no `base_url`."""
ALONE = frozenset({"local", "simulate", "transformers"})
"""Providers that ask nobody, and so have no service's terms. What `replay` reads is what its model answered whoever asked it."""
SEPARATOR = ", "
"""Between the ids in the column `terms`."""

Training = Literal["allowed", "restricted", "unknown"]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Agreement(Options):
    """One entry of the table. The head of `terms.yaml` says more of each field."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
    """What a spec and the column `terms` call it."""
    name: Text
    """Of the document."""
    kind: Literal["service", "model"]
    """Whether it binds who asks a service, or who uses the weights."""
    hosts: tuple[Text, ...] = ()
    """Of a service's addresses, with * as a wildcard."""
    resells: bool = False
    """Whether it passes on other companies' models, whose terms then hold as well."""
    models: tuple[Text, ...] = ()
    """Names of models, with * as a wildcard."""
    training: Training
    """Whether other models may be trained on the output."""
    clause: Text
    """What it says of that, in other words."""
    section: str | None = Field(default=None, coerce_numbers_to_str=True)
    """Where it says so."""
    url: Text | None = None
    """Of its text."""
    as_of: date | None = None
    """The date of the version that this goes by; None: not known."""
    basis: Literal["text", "quote", "report"]
    """How it is known: from the text, from quotations of it, or from reports."""
    duties: tuple[Text, ...] = ()
    """What whoever trains on the output, or passes it on, has to do."""
    notice: Text | None = None
    """A line that must stand in NOTICE."""

    def serves(self, host: str) -> bool:
        """Whether a host is this service's."""
        return any(fnmatch.fnmatchcase(host, pattern.casefold()) for pattern in self.hosts)

    def covers(self, model: str) -> bool:
        """Whether a model is one of these by its name."""
        name = model.casefold().rpartition("/")[2]
        for character in "_: ":
            name = name.replace(character, "-")
        return any(fnmatch.fnmatchcase(name, pattern.casefold()) for pattern in self.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The whole table."""

    agreements: tuple[Agreement, ...]
    """The user's own first."""

    def find(self, name: str, *, what: str) -> Agreement:
        """Return the entry of an id. Raise SpecError where there is none; `what` names the place for the message."""
        for each in self.agreements:
            if each.id == name:
                return each
        raise SpecError(
            f"{what}: no terms are called {name!r}; {nearest(name, [each.id for each in self.agreements])}; "
            f"`licenses.terms` or {VARIABLE} names a file with more of them"
        )

    def known(self, name: str) -> Agreement | None:
        """Return the entry of an id; None where the table has none."""
        return next((each for each in self.agreements if each.id == name), None)

    def of(self, *, provider: str, urls: Iterable[str | None], model: str) -> tuple[Agreement, ...]:
        """Return what binds whoever asks a model of a provider at these addresses (None: the provider's own).

        The terms of the services, by their hosts; where none is known, or one passes on what isn't its own, by the model's name.
        Then the licence of the weights.
        """
        found: list[Agreement] = []
        if provider not in ALONE:
            hosts = [host for url in urls if (host := _host(provider, url))]
            services = [each for each in self.agreements if each.kind == "service"]
            found = [each for each in services if any(each.serves(host) for host in hosts)]
            # A company's model through another's service: Claude on Bedrock, say.
            if not any(each.covers(model) or not each.resells for each in found):
                found += [each for each in services if each.covers(model)][:1]
        return (*found, *[each for each in self.agreements if each.kind == "model" and each.covers(model)][:1])


def load(own: str | None = None) -> Terms:
    """Return the table, with the user's own: of the file `own`, else of the one that STILLHOUSE_TERMS names.

    Raise SpecError where that file can't be read, or an entry of it is wrong.
    """
    path = own or os.environ.get(VARIABLE)
    ours = _ours()
    if not path:
        return Terms(agreements=ours)
    theirs = _read(Path(path).expanduser(), said="" if own else f" (named by {VARIABLE})")
    names = {each.id for each in theirs}
    return Terms(agreements=(*theirs, *(each for each in ours if each.id not in names)))


@cache
def _ours() -> tuple[Agreement, ...]:
    return _read(TABLE, said="")


def _read(path: Path, *, said: str) -> tuple[Agreement, ...]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}{said}: the terms can't be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{path}{said}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or content.keys() != {"terms"} or not isinstance(content["terms"], list):
        raise SpecError(f"{path}{said}: must be a mapping with one key, `terms`, a list of entries")
    found = [_entry(each, f"{path}{said}: terms[{number}]") for number, each in enumerate(content["terms"])]
    names = [each.id for each in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise SpecError(f"{path}{said}: terms[{number}].id: {name!r} stands twice")
    return tuple(found)


def _entry(given: Any, what: str) -> Agreement:
    if not isinstance(given, dict):
        raise SpecError(f"{what}: must be a mapping with `id`, `name`, `kind`, `training`, `clause` and `basis`")
    try:
        return Agreement.model_validate(given)
    except ValidationError as error:
        # An unknown key is the likeliest slip, and the cause of one that is missing.
        first = next((each for each in error.errors() if each["type"] == "extra_forbidden"), error.errors()[0])
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SpecError(
                f"{what}{place}: unknown key; {nearest(str(first['loc'][-1]), list(Agreement.model_fields))}"
            ) from error
        message = "is missing" if first["type"] == "missing" else first["msg"].replace("Input should be", "must be")
        raise SpecError(f"{what}{place}: {message}") from error


def _host(provider: str, url: str | None) -> str | None:
    return HOSTS.get(provider) if url is None else (urlsplit(url).hostname or "").rstrip(".")


def ids(agreements: Sequence[Agreement]) -> str | None:
    """Return the column `terms` of a teacher that these bind; None where none does."""
    return SEPARATOR.join(each.id for each in agreements) or None
