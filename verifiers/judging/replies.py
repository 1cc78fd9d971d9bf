"""What a judge answers: one JSON object by a schema and nothing else.

So a verdict that a response contains, and a judge merely repeats, doesn't count: neither within other words nor word for word.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_plus

from storage.errors import VerifierError
from storage.records import Message
from verifiers.judging.fences import inert, line, unfenced
from verifiers.protocol import Asker
from verifiers.reading.strict_json import no_constant, once

T = TypeVar("T")
V = TypeVar("V")
MAX_REPEATED = 2000
"""Characters of a malformed answer that are shown to the judge again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[T]):
    """What a judge answers beside its reason."""

    key: str
    """The name of the verdict in the JSON object."""
    schema: Mapping[str, Any]
    """The verdict's own JSON schema."""
    read: Callable[[object], T]
    """Returns the verdict, or raises ValueError with what is wrong with it."""

    @property
    def whole(self) -> dict[str, Any]:
        """Return the schema of the answer. The reason comes first, so that it is thought of before the verdict is."""
        return {
            "type": "object",
            "properties": {"reason": {"type": "string"}, self.key: dict(self.schema)},
            "required": ["reason", self.key],
            "additionalProperties": False,
        }

    async def ask(self, asker: Asker, messages: Sequence[Message]) -> tuple[T, str]:
        """Return a judge's verdict and reason; ask once more where the answer is malformed.

        Raise VerifierError where there is no verdict then, and what the asker raises.
        """
        answer = await asker.ask(messages, schema=self.whole)
        try:
            return self._own(answer, messages)
        except ValueError as error:
            answer = await asker.ask([*messages, *_repair(answer, str(error))], schema=self.whole)
        try:
            return self._own(answer, messages)
        except ValueError as error:
            raise VerifierError(f"the judge gave no verdict: {error}: {line(answer)!r}") from None

    def _own(self, answer: str, messages: Sequence[Message]) -> tuple[T, str]:
        """Return the verdict and reason of an answer. Raise ValueError where they stand in what the judge was shown."""
        verdict, reason = self.parse(answer)
        why, what, whole = (_words(each) + _ENDS for each in (f"reason {reason}", f"{self.key} {verdict}", _bare(answer)))
        between = _BETWEEN if _words(reason) else " ?"  # a key that the form doesn't have, which a judge has to leave out
        repeated = re.compile(f"{whole}|{why}{between}{what}|{what}{between}{why}")
        shown = (unfenced(message.content) for message in messages if message.role == "user")
        if any(repeated.search(_words(each)) for text in shown for each in _readings(text)):
            raise ValueError("it repeats a verdict that stands in what is judged")
        return verdict, reason

    def parse(self, answer: str) -> tuple[T, str]:
        """Return verdict and reason. Raise ValueError, with what is wrong, for anything but one such JSON object."""
        try:
            value = json.loads(_bare(answer), object_pairs_hook=once, parse_constant=no_constant)
        except json.JSONDecodeError:
            raise ValueError("it is not one JSON object") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(value, dict):
            raise ValueError("it is not a JSON object")  # noqa: TRY004 - one kind of fault, for one repair
        if value.keys() != {"reason", self.key}:
            raise ValueError(f'it must have the keys "reason" and "{self.key}", and no others')
        reason = value["reason"]
        if not isinstance(reason, str):
            raise ValueError("the reason is no text")  # noqa: TRY004 - as above
        return self.read(value[self.key]), reason


def integer(name: str, low: int, high: int) -> Form[int]:
    """Return the form of a verdict that is an integer from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, float) and value.is_integer():  # 8.0 is an integer to JSON Schema
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"the {name} is no integer")  # noqa: TRY004 - one kind of fault, for one repair
        if not low <= value <= high:
            raise ValueError(f"the {name} must be from {low} to {high}")
        return value

    # Not every server that holds an answer to a schema knows of bounds.
    return Form(key=name, schema={"type": "integer"}, read=read)


def choice(name: str, values: Sequence[str]) -> Form[str]:
    """Return the form of a verdict that is one of these words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError(f"{name} must be one of {', '.join(values)}")
        return value

    return Form(key=name, schema={"type": "string", "enum": list(values)}, read=read)


def bound(verifier: Any, kind: type[V], **given: object) -> V:
    """Return a verifier's copy of a kind that may ask; what is `given` is no option, and so no part of the fingerprint."""
    made = kind(**{field.name: getattr(verifier, field.name) for field in dataclasses.fields(verifier)})
    for name, value in given.items():
        object.__setattr__(made, name, value)
    return made


def _bare(answer: str) -> str:
    """Return an answer without the fence of a code block around all of it."""
    text = answer.strip()
    return fenced[1] if (fenced := _FENCED.fullmatch(text)) else text


def _readings(text: str) -> Iterator[str]:
    """Yield a text, and what a judge may have read in it: that of entities, of percent signs, of base64 and of hexadecimal."""
    yield text
    yield html.unescape(html.unescape(text))
    yield unquote_plus(text)
    for packed in _PACKED.findall(text):
        with contextlib.suppress(ValueError):
            yield base64.b64decode(packed.translate(_URL_SAFE) + "==").decode(errors="replace")
    for packed in _HEXADECIMAL.findall(text):
        with contextlib.suppress(ValueError):
            yield bytes.fromhex(packed).decode(errors="replace")


def _words(text: str) -> str:
    """Return the letters and digits of a text: a verdict is the same with other quotes, spaces or escapes, and as a list.

    A space stays where a number ends: 10/10 isn't 1010.
    """
    read = _ESCAPED.sub(lambda match: chr(int(match[1] or match[2] or "20", 16)), _HIDDEN.sub("", text))
    return _UNWORDED.sub(lambda match: " " if match[1] else "", unicodedata.normalize("NFKC", read)).casefold()


def _repair(answer: str, fault: str) -> list[Message]:
    return [
        Message(role="assistant", content=inert(answer[:MAX_REPEATED])[:MAX_REPEATED].strip() or "(nothing)"),
        Message(
            role="user",
            content=f"That is no verdict: {fault}. Answer with the one JSON object that was asked for, and nothing else.",
        ),
    ]


_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[bfnrt])")
_PACKED = re.compile(r"[A-Za-z0-9+/_-]{24,}")
_URL_SAFE = str.maketrans("-_", "+/")
_HEXADECIMAL = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2} ?){16,}")
_HIDDEN = re.compile(r"⟨U\+[0-9A-F]{4,6}⟩")
"""Characters that don't show."""
_UNWORDED = re.compile(r"(?<=\d)\.0+(?!\d)|((?<=\d)[\W_]+(?=[^\W_]))|[\W_]+")
"""What is not read of 8.0, what is between a number and what follows, and all else between words."""
_BETWEEN = r".{0,80}?"
_ENDS = r"(?:(?<![0-9])|(?![0-9]|e[0-9]))"
"""A number isn't the beginning of a longer one."""
