"""From prompts to the requests that grow others from them, one seed after the other.

What a request shows beside its seed stands before it, so that a source to which rows are added asks for nothing anew.
"""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from storage.errors import SourceError
from storage.identity import request_key, sample_id
from storage.records import Message, Prompt
from tasks.growth.methods import drawn, instruction, operation
from tasks.growth.options import GrowOptions
from tasks.license import parse, together
from tasks.prepare import Asked

WINDOW = 1_000
"""Prompts before a seed that may be shown with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request."""

    parents: tuple[Prompt, ...]
    """The prompts that it shows, the seed first."""
    operation: str | None
    """How `evolve` changes the seed."""
    sample_index: int
    """Which answer to the very same request it wants."""
    messages: tuple[Message, ...]
    """What is sent."""
    key: str
    """`storage.identity.request_key`."""

    @property
    def sample_id(self) -> str:
        """Return the id of its answer."""
        return sample_id(self.key, self.sample_index)

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags that all parents have."""
        first, *others = self.parents
        return {name: value for name, value in first.tags.items() if all(each.tags.get(name) == value for each in others)}

    @property
    def before(self) -> tuple[Message, ...]:
        """Return what stands before the user's text in a prompt that is made of one other: its system text."""
        return self.parents[0].messages[:-1] if len(self.parents) == 1 else ()


def asks(
    seeds: Iterable[Prompt], options: GrowOptions, asked: Asked, *, seed: int, human: Sequence[Prompt] = ()
) -> Iterator[Ask]:
    """Yield the requests for each seed. `human`: what is shown beside them; else those before it are."""
    parameters = options.parameters()
    for prompt, others in _with_others(seeds, options.shown - 1, human):
        made: Counter[str] = Counter()
        for number in range(options.requests):
            changed = operation(options, seed, prompt.prompt_id, number)
            shown = (prompt, *_some(others, options.shown - 1, seed, prompt.prompt_id, number))
            text = instruction(options, changed, [each.prompt for each in shown])
            messages = (Message(role="user", content=text),)
            key = request_key(
                provider=asked.provider, model=asked.model, messages=messages, parameters=parameters, identity=asked.identity
            )
            # The seed's very same request, which few operations or few prompts to show lead back to, is told by its index.
            yield Ask(parents=shown, operation=changed, sample_index=made[key], messages=messages, key=key)
            made[key] += 1


def check_seed(prompt: Prompt, place: str) -> None:
    """Raise SourceError where a prompt can't be a seed: one that goes on with a conversation says little without it."""
    if any(message.role != "system" for message in prompt.messages[:-1]):
        raise SourceError(f"{place}: has turns before the user's last one, and prompts can't be grown from it; leave out `grow`")


def generation(parents: Sequence[Prompt], teacher: int) -> int:
    """Return of which order a prompt is that a teacher of a generation made of others."""
    return 1 + max(teacher, *(each.generation for each in parents))


def license_of(parents: Sequence[Prompt], teacher: str) -> str:
    """Return the licence of what a teacher made of prompts: all of theirs, and its own."""
    return _together(tuple(dict.fromkeys(str(each.license) for each in parents)), teacher)


@functools.lru_cache(maxsize=10_000)
def _together(parents: tuple[str, ...], teacher: str) -> str:
    return together(parse(each, what="license") for each in (*parents, teacher))


def _with_others(seeds: Iterable[Prompt], many: int, human: Sequence[Prompt]) -> Iterator[tuple[Prompt, Sequence[Prompt]]]:
    """Yield each seed with the prompts of which some are shown beside it."""
    if not many or human:
        for prompt in seeds:
            yield prompt, human
        return
    waiting = iter(seeds)
    first = list(islice(waiting, many + 1))
    before: deque[Prompt] = deque(maxlen=WINDOW)
    for prompt in first:
        yield prompt, [each for each in first if each is not prompt]
        before.append(prompt)
    for prompt in waiting:
        yield prompt, before
        before.append(prompt)


def _some(others: Sequence[Prompt], many: int, *of: object) -> list[Prompt]:
    """Return so many of the prompts, without one of them twice; which ones depends on `of`."""
    left = list(range(len(others)))
    return [others[left.pop(drawn(*of, place) % len(left))] for place in range(min(many, len(left)))]
