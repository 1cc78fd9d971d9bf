"""From a prompt to what is sent: Jinja2 in its sandbox, where an undefined variable is an error before the first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import jinja2
from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, model_validator

from storage.errors import SpecError
from storage.records import Message, Prompt
from tasks.options import NotYet, Options

AS_IT_IS = "{{ prompt }}"


class TemplateOptions(Options):
    """The spec's `template`. Texts are Jinja2 with `prompt`, `reference`, `tests`, `tags`, `id` and `source`."""

    system: str | None = None
    """The system text. Left out: the source's own, or none."""
    strategies: NotYet = None
    """Several system texts. Not supported yet."""
    user: str = Field(default=AS_IT_IS, min_length=1)
    """What the user says, in place of the last user turn."""
    license: str | None = None
    """SPDX expression of these texts, where they are another's. Left out: they are your own, and add nothing."""

    @model_validator(mode="after")
    def _licensed(self) -> Self:
        if self.license is not None and self.system is None and self.user == AS_IT_IS:
            raise ValueError("license: there is no text of the template's own that could have one")
        return self


class Template:
    """Compiled templates. Raise SpecError where one doesn't parse."""

    def __init__(self, options: TemplateOptions, *, where: str) -> None:
        """Compile; `where` names the spec for messages."""
        self._where = where
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)
        self._texts: dict[str, Callable[[Prompt], str]] = {}
        self.adds = False
        """Whether what is sent has more of a prompt in it than its turns: its tags, say."""
        for name, text in (("system", options.system), ("user", options.user)):
            if text is None:
                continue
            try:
                self._texts[name] = _renderer(environment.from_string(text), text)
                self.adds |= bool(meta.find_undeclared_variables(environment.parse(text)) - {"prompt"})
            except TemplateSyntaxError as error:
                raise SpecError(f"{where}: template.{name}, line {error.lineno}: {error.message}") from error

    def render(self, prompt: Prompt, *, place: str) -> tuple[Message, ...]:
        """Return what to send. `place` says where the prompt stands. Raise SpecError where a variable is undefined."""
        turns = prompt.messages
        if "system" in self._texts:
            turns = (
                Message(role="system", content=self._text("system", prompt, place)),
                *(turn for turn in turns if turn.role != "system"),
            )
        return (*turns[:-1], Message(role="user", content=self._text("user", prompt, place)))

    def _text(self, name: str, prompt: Prompt, place: str) -> str:
        try:
            text = self._texts[name](prompt)
        except Exception as error:  # a template is a program of the user's: whatever it raises, its author can mend
            raise SpecError(f"{self._where}: template.{name}, for the prompt at {place}: {error}") from error
        if not text.strip():
            raise SpecError(f"{self._where}: template.{name}: the text for the prompt at {place} is empty")
        return text


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
