"""From a prompt to what is sent: Jinja2 in its sandbox, where an undefined variable is an error before the first call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Self

import jinja2
from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, model_validator

from storage.errors import SpecError
from storage.plugins import nearest
from storage.records import Message, Prompt
from tasks.options import Options
from tasks.strategies import StrategyOptions, fitting, lot

AS_IT_IS = "{{ prompt }}"
VARIABLES = ("prompt", "reference", "tests", "tags", "id", "source")
_UNDEFINED = re.compile(r"'(\w+)' is undefined")
"""What Jinja says of a variable that there isn't."""


class TemplateOptions(Options):
    """The spec's `template`. Texts are Jinja2 with `prompt`, `reference`, `tests`, `tags`, `id` and `source`."""

    system: str | None = None
    """The system text. Left out: the source's own, or none."""
    strategies: tuple[StrategyOptions, ...] = ()
    """Ways to have a prompt answered, each with a system text. A prompt that none is for is asked by `system` and `user`."""
    draw: Literal["each", "one"] = "each"
    """Of the strategies that are for a prompt: each, k samples of every teacher by each; or one, which the seed chooses."""
    user: str = Field(default=AS_IT_IS, min_length=1)
    """What the user says, in place of the last user turn."""
    license: str | None = None
    """SPDX expression of these texts, where they are another's. Left out: they are your own, and add nothing."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [each.name for each in self.strategies]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise ValueError(f"strategies[{place}]: another one is named {name!r}; give it a name of its own")
        if self.draw == "one" and not self.strategies:
            raise ValueError("draw: it chooses among `strategies`, and there are none")
        own = any(each.system is not None or each.user is not None for each in self.strategies)
        if self.license is not None and self.system is None and self.user == AS_IT_IS and not own:
            raise ValueError("license: there is no text of the template's own that could have one")
        return self

    @property
    def names(self) -> tuple[str | None, ...]:
        """Return the strategies by name, in the spec's order, with None for the plain template where a prompt may need it."""
        plain = () if any(not each.when for each in self.strategies) else (None,)
        return (*(each.name for each in self.strategies), *plain)

    @property
    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield every text that may be sent beside a prompt's own, each with its place in the spec."""
        given = [("template.system", self.system), ("template.user", self.user)]
        for number, each in enumerate(self.strategies):
            place = f"template.strategies[{number}]"
            given += [(f"{place}.system", each.system_text), (f"{place}.user", each.user)]
        yield from ((place, text) for place, text in given if text)

    @property
    def plain(self) -> TemplateOptions:
        """Return what is left where no text of the template's tells the teacher how to answer: the `user` text alone."""
        return TemplateOptions(user=self.user)


class _Way:
    """The compiled texts by which a prompt is asked: the plain template's, or a strategy's."""

    def __init__(self, system: tuple[str, str] | None, user: tuple[str, str], *, where: str) -> None:
        """Compile a system and a user text, each of which comes with its place in the spec."""
        self._where = where
        self.adds = False
        self._texts: dict[str, tuple[str, Callable[[Prompt], str]]] = {}
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)
        for role, given in (("system", system), ("user", user)):
            if given is None:
                continue
            place, text = given
            try:
                self._texts[role] = place, _renderer(environment.from_string(text), text)
                self.adds |= bool(meta.find_undeclared_variables(environment.parse(text)) - {"prompt"})
            except TemplateSyntaxError as error:
                raise SpecError(f"{where}: {place}, line {error.lineno}: {error.message}") from error

    def render(self, prompt: Prompt, *, place: str) -> tuple[Message, ...]:
        turns = prompt.messages
        if "system" in self._texts:
            turns = (
                Message(role="system", content=self._text("system", prompt, place)),
                *(turn for turn in turns if turn.role != "system"),
            )
        return (*turns[:-1], Message(role="user", content=self._text("user", prompt, place)))

    def _text(self, role: str, prompt: Prompt, place: str) -> str:
        name, renderer = self._texts[role]
        try:
            text = renderer(prompt)
        except Exception as error:  # a template is a program of the user's: whatever it raises, its author can mend
            unknown = _UNDEFINED.fullmatch(str(error))
            near = f"; {nearest(unknown[1], VARIABLES)}" if unknown else ""
            raise SpecError(f"{self._where}: {name}, for the prompt at {place}: {error}{near}") from error
        if not text.strip():
            raise SpecError(f"{self._where}: {name}: the text for the prompt at {place} is empty")
        return text


class Template:
    """Compiled templates. Raise SpecError where one doesn't parse."""

    def __init__(self, options: TemplateOptions, *, where: str, seed: int = 0) -> None:
        """Compile; `where` names the spec for messages, and `seed` is the spec's."""
        self._options = options
        self._seed = seed
        system = None if options.system is None else ("template.system", options.system)
        user = "template.user", options.user
        self._ways: dict[str | None, _Way] = {}
        if None in options.names:
            self._ways[None] = _Way(system, user, where=where)
        for number, each in enumerate(options.strategies):
            place = f"template.strategies[{number}]"
            own = each.system_text
            self._ways[each.name] = _Way(
                system if own is None else (f"{place}.system", own),
                user if each.user is None else (f"{place}.user", each.user),
                where=where,
            )
        self.adds = any(way.adds for way in self._ways.values())
        """Whether what is sent has more of a prompt in it than its turns: its tags, say."""

    def strategies(self, prompt: Prompt) -> Sequence[str | None]:
        """Return the strategies by which a prompt is asked; None is the plain template."""
        names = fitting(self._options.strategies, prompt)
        return names if self._options.draw == "each" else [lot(names, prompt, seed=self._seed)]

    def render(self, prompt: Prompt, *, place: str, strategy: str | None = None) -> tuple[Message, ...]:
        """Return what to send by one of the prompt's strategies. `place` says where the prompt stands.

        Raise SpecError where a variable is undefined.
        """
        return self._ways[strategy].render(prompt, place=place)


def _renderer(template: jinja2.Template, text: str) -> Callable[[Prompt], str]:
    """Return what makes a prompt's text of a template. Rendering costs as much as a tenth of a request, and most need none."""
    if text == AS_IT_IS:
        return lambda prompt: prompt.prompt
    if "{" not in text:
        fixed = template.render()
        return lambda prompt: fixed  # noqa: ARG005
    return lambda prompt: template.render(
        prompt=prompt.prompt,
        reference=prompt.reference,
        tests=prompt.tests,
        tags=prompt.tags,
        id=prompt.prompt_id,
        source=prompt.source,
    )
