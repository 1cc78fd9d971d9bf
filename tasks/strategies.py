"""Strategies: several ways to have a prompt answered, each with its own system text and the prompts that it is for.

After Orca (Mukherjee et al. 2023, arXiv:2306.02707), whose teacher explains under many system texts, and Orca 2 (Mitra et al.
2023, arXiv:2311.11045), whose student learns which way fits which task. `strategies.yaml` has the built-in ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BeforeValidator, Field, model_validator

from storage.plugins import nearest
from storage.records import Prompt
from storage.wording import counted
from tasks.options import Options
from tasks.teachers.options import Name

TABLE = Path(__file__).with_name("strategies.yaml")


@cache
def builtin() -> Mapping[str, str]:
    """Return the system texts of the built-in strategies by name."""
    found: dict[str, str] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return found


def _values(given: Any) -> Any:
    """Return a tag's values as sources hold them: what isn't a text, as its JSON."""
    listed = given if isinstance(given, list | tuple) else [given]
    if not listed or any(each is None or isinstance(each, dict | list) for each in listed):
        raise ValueError("must be a value of the tag, or a list of these")
    return tuple(each if isinstance(each, str) else json.dumps(each) for each in listed)


Values = Annotated[tuple[str, ...], BeforeValidator(_values)]


class StrategyOptions(Options):
    """One entry of `template.strategies`: a built-in strategy's name, or a strategy of the spec's own."""

    name: Name
    """What tables and messages call it."""
    system: str | None = Field(default=None, min_length=1)
    """Its system text, a template as `template.system` is. Left out: the built-in one of this name or, of another name,
    `template.system`."""
    user: str | None = Field(default=None, min_length=1)
    """What the user says, in place of `template.user`."""
    when: Mapping[Annotated[str, Field(min_length=1)], Values] = Field(default_factory=dict)
    """Values of the prompt's tags, all of which it must have, one of each list. Left out: it is for every prompt."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _has_a_text(self) -> Self:
        if self.system is None and self.user is None and self.name not in builtin():
            raise ValueError(
                f"{self.name!r} is no built-in strategy, and has no `system` text of its own; "
                f"{nearest(self.name, list(builtin()))}"
            )
        return self

    @property
    def system_text(self) -> str | None:
        """Return the system text's template; None where the strategy has none of its own."""
        return self.system if self.system is not None else builtin().get(self.name)

    def fits(self, prompt: Prompt) -> bool:
        """Return whether it is for a prompt."""
        return all(prompt.tags.get(tag) in values for tag, values in self.when.items())


def fitting(strategies: Sequence[StrategyOptions], prompt: Prompt) -> list[str | None]:
    """Return the names of the strategies that are for a prompt; where there is none, None alone: the plain template's name."""
    return [each.name for each in strategies if each.fits(prompt)] or [None]


def lot(names: Sequence[str | None], prompt: Prompt, *, seed: int) -> str | None:
    """Return one of the names, which the seed and the prompt's id decide.

    By rendezvous hashing (Thaler and Ravishankar 1998): a strategy that is added takes its own share of the prompts, and the
    others keep theirs, so that nothing of these is bought again.
    """
    return max(names, key=lambda name: hashlib.sha256(f"{seed}/strategy/{name}/{prompt.prompt_id}".encode()).digest())


def remarks(prompts: Mapping[str | None, int], strategies: Sequence[StrategyOptions]) -> Iterator[str]:
    """Yield what whoever waits for a build should know of how many prompts each strategy is for; None is the plain template."""
    for each in strategies:
        if not prompts.get(each.name):
            yield f"strategy {each.name!r}: no prompt is asked by it"
    if strategies and (plain := prompts.get(None, 0)):
        are = "is" if plain == 1 else "are"
        yield f"{counted(plain, 'prompt', are, are)} for no strategy, and {are} asked by template.system and template.user alone"


def tags_of(strategies: Sequence[StrategyOptions]) -> list[str]:
    """Return the tags that decide which strategies are for a prompt."""
    return sorted({tag for each in strategies for tag in each.when})


def conditions(strategies: Sequence[StrategyOptions]) -> Iterator[tuple[str, str]]:
    """Yield the places in the spec that name a tag, each with the tag as a label (`tasks.labels`)."""
    for number, each in enumerate(strategies):
        for tag in each.when:
            yield f"template.strategies[{number}].when", f"tag:{tag}"
