"""A student's tokenizer and chat template: a conversation's tokens, and which of them are the response."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.errors import SetupError, SpecError
from storage.wording import first_line
from tasks.teachers.reasoning import lost, split
from tasks.teachers.weights import commit, revision
from tasks.vocabulary import Vocabulary, vocabulary

Turns = Sequence[Mapping[str, Any]]
_TODAY = re.compile(r"strftime_now\(\s*(?P<quote>['\"])(?P<format>.*?)(?P=quote)\s*\)")
_PROBE = "\ue000"
"""A response that no text has in it."""


class Unclear(Exception):
    """A conversation whose response can't be told from what the template renders. The text says why."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as one text."""

    text: str
    """All of it."""
    begin: int
    """Where that begins which the student is to say."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as tokens."""

    ids: array[int]
    """All of them."""
    begin: int
    """The first that the student is to say."""
    end: int
    """Behind the last that it is to say, which ends its turn."""
    close: int
    """Behind the last of the response: where that begins which ends its turn."""
    seam: bool
    """Whether that first token begins in the prompt."""
    offsets: Sequence[tuple[int, int]] = ()
    """Where those that it is to say stand in the text, in characters, where that was asked for; an appended end has none."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ended(self) -> bool:
        """Return whether the last that it is to say ends its turn."""
        return self.close < self.end

    def unended(self) -> Encoded:
        """Return them up to where the turn ends: nobody is to learn to end it where the response was cut off."""
        return replace(self, ids=self.ids[: self.close], end=self.close, offsets=self.offsets[: self.close - self.begin])


class Chat:
    """A tokenizer with a chat template."""

    def __init__(self, tokenizer: Any, template: str, options: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._options = options
        self._dates = {found["format"] for found in _TODAY.finditer(template)}
        # A template that writes today's date would give other bytes tomorrow: it gets the day on which the teacher answered.
        self._template = _TODAY.sub(lambda found: f"stillhouse_dates[{found['format']!r}]", template)
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        special = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._special = frozenset(special)
        self._texts = tuple(sorted(special.values()))
        self._leads = tuple(sorted({text[:2] for text in self._texts}))
        self._eos: int | None = tokenizer.eos_token_id
        self.padding = next((each for each in (tokenizer.pad_token_id, self._eos) if each is not None), 0)
        """What fills a row up."""
        self._last: tuple[object, str] = (None, "")
        self.facts = {
            "tokenizer_sha256": _sha256(self._backend.to_str()),
            "chat_template_sha256": _sha256(template),
        }
        """What decides the tokens, beside the conversation."""

    def has_special(self, texts: Sequence[str]) -> bool:
        """Return whether one has a special token's own text in it, which would become that token."""
        if not any(lead in text for text in texts for lead in self._leads):
            return False
        return any(special in text for text in texts for special in self._texts)

    def render(self, asked: Turns, answered: Mapping[str, Any], *, day: datetime) -> Rendered:
        """Return a conversation as one text. Raise Unclear."""
        prompt = self._prompt(asked, day)
        whole = self._render([*asked, answered], day, ask=False)
        if whole.startswith(prompt):
            begin = len(prompt)
        else:
            # Some templates end a question with what they don't write before an answer, such as an open <think>.
            header = self._render(asked, day, ask=False) + self._header
            if not whole.startswith(header):
                raise Unclear("the chat template renders a prompt otherwise where a response follows it")
            begin = len(header)
        thought, answer = answered.get("reasoning_content"), answered["content"]
        if thought is None:
            thought, answer = split(answer)  # what stands between the two is the template's business
        what = lost(whole[begin:], thought, answer) or _unasked(whole[:begin], asked)
        if what is not None:
            raise Unclear(f"the chat template leaves out or changes the {what}")
        return Rendered(whole, begin)

    def encode(self, rendered: Sequence[Rendered], *, offsets: bool = False) -> list[Encoded]:
        """Return conversations as tokens, with where they stand if `offsets`."""
        found = self._backend.encode_batch([each.text for each in rendered], add_special_tokens=False)
        encoded = [self._encoded(each, tokens) for each, tokens in zip(rendered, found, strict=True)]
        if not offsets:
            return encoded
        return [replace(each, offsets=tokens.offsets[each.begin : each.end]) for each, tokens in zip(encoded, found, strict=True)]

    def _encoded(self, rendered: Rendered, tokens: Any) -> Encoded:
        ids = array("i", tokens.ids)
        places = range(rendered.begin, len(rendered.text))
        begin = next((found for place in places if (found := tokens.char_to_token(place)) is not None), len(ids))
        first, last = tokens.token_to_chars(begin) if begin < len(ids) else (rendered.begin, rendered.begin)
        seam = first < rendered.begin
        # A mark of a turn may take the white space behind it along, as Phi-3's do.
        if seam and ids[begin] in self._special and not rendered.text[rendered.begin : last].strip():
            begin, seam = begin + 1, False
        # What stands behind the end of the turn, mostly a line break, is nothing that a student says.
        ending = self._ending(rendered.text, tokens, ids, begin)
        if ending:
            return Encoded(ids, begin, ending[0] + 1, ending[-1], seam)
        close = len(ids)
        if self._eos is not None:
            ids.append(self._eos)
        return Encoded(ids, begin, len(ids), close, seam)

    def _ending(self, text: str, tokens: Any, ids: array[int], begin: int) -> list[int]:
        """Return the special tokens with which a text ends, but for white space, the last first: some templates write several."""
        found: list[int] = []
        while text := text.rstrip():
            number = tokens.char_to_token(len(text) - 1)
            if number is None or number < begin or ids[number] not in self._special:
                break
            found.append(number)
            text = text[: tokens.token_to_chars(number)[0]]
        return found

    def _prompt(self, asked: Turns, day: datetime) -> str:
        """Return a prompt's text. Its samples come one after the other, so it is rendered once."""
        key = (asked, day if self._dates else None)
        if key != self._last[0]:
            self._last = (key, self._render(asked, day, ask=True))
        return self._last[1]

    @functools.cached_property
    def _header(self) -> str:
        """Return what a template writes between a prompt and its response, both where one is asked for and where one follows."""
        asked, day = [{"role": "user", "content": "?"}], datetime(2000, 1, 1)  # noqa: DTZ001 - only a day to write
        base = self._render(asked, day, ask=False)
        sides = [
            self._render(asked, day, ask=True),
            self._render([*asked, {"role": "assistant", "content": _PROBE}], day, ask=False).partition(_PROBE)[0],
        ]
        if not all(side.startswith(base) for side in sides):
            raise Unclear("the chat template renders a prompt otherwise where a response follows it")
        both = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*(side[len(base) :] for side in sides), strict=False))
        return "".join(letter for letter, _ in both)

    def _render(self, turns: Turns, day: datetime, *, ask: bool) -> str:
        from jinja2 import TemplateError

        dates = {each: day.strftime(each) for each in self._dates}
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    list(turns),
                    chat_template=self._template,
                    add_generation_prompt=ask,
                    tokenize=False,
                    stillhouse_dates=dates,
                    **self._options,
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise Unclear(f"the chat template refuses it: {first_line(error)}") from error


def _unasked(prompt: str, asked: Turns) -> str | None:
    """Return which turn before the response a template left out; an assistant's may be without the reasoning in it."""
    kept = (turn for turn in asked if turn["role"] != "assistant")
    return next((f"{turn['role']}'s text" for turn in kept if turn["content"].strip() not in prompt), None)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def load(name: str, template: str | None, options: Mapping[str, Any]) -> Chat:
    """Return the tokenizer of a local folder, or of the Hub. Raise SpecError or SetupError.

    `template` is the path of a file that takes the place of the tokenizer's own chat template.
    """
    tokenizer = _tokenizer(name)
    if template is None:
        text = tokenizer.chat_template
        if not isinstance(text, str):
            kinds = f"has several chat templates ({', '.join(sorted(text))})" if text else "has no chat template"
            raise SpecError(f"exports: {name} {kinds}; name a file of one with `chat_template`")
        return Chat(tokenizer, text, options)
    path = Path(template).expanduser()
    try:
        return Chat(tokenizer, path.read_text(encoding="utf-8"), options)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "isn't UTF-8"
        raise SpecError(f"exports: chat_template: {template}: {said}") from error


@functools.lru_cache(maxsize=4)
def vocabulary_of(name: str) -> Vocabulary:
    """Return the tokens of a local folder's tokenizer, or of one of the Hub, as bytes. Raise SpecError or SetupError."""
    return vocabulary(_tokenizer(name).backend_tokenizer, name=name)


def revision_of(name: str) -> str | None:
    """Return which revision of a student its tokenizer is of: of a folder as `weights.revision` has it, of the Hub the commit.

    None where the Hub's cache doesn't say. The tokenizer has been loaded, so the cache has what was taken.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return revision(folder)
    from huggingface_hub import try_to_load_from_cache

    for file in ("tokenizer.json", "tokenizer_config.json"):
        found = try_to_load_from_cache(name, file)
        if isinstance(found, str):
            return commit(Path(found))
    return None


def _tokenizer(name: str) -> Any:
    folder = Path(name).expanduser()
    # An id of the Hub is NAME or ORG/NAME; anything else was meant as a path.
    if not folder.is_dir() and not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise SpecError(f"exports: tokenizer: {name}: no such folder")
    return _loaded(str(folder) if folder.is_dir() else name, folder.is_dir())


@functools.lru_cache(maxsize=4)
def _loaded(name: str, local: bool) -> Any:
    # Nobody here needs torch, and a line that says so in every build would alarm people.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise SetupError("exports: tokenizers need transformers: pip install 'stillhouse[tokenize]'") from error
    unreached = None if local else _unreached(name)
    try:
        # What the Hub's cache has does, where the Hub can't be asked.
        found = AutoTokenizer.from_pretrained(name, local_files_only=local or unreached is not None, trust_remote_code=False)
    except Exception as error:  # whatever a foreign folder's files, or the way to the Hub, do to it
        if local and not (Path(name) / "tokenizer.json").exists():
            raise _without_one(name) from error
        where = "can't be read" if local else "is no local folder, and can't be had from the Hub"
        raise SetupError(f"exports: tokenizer: {name} {where}: {first_line(unreached or error)}") from error
    if not found.is_fast:
        raise _without_one(name)
    return found


def _unreached(name: str) -> Exception | None:
    """Ask the Hub once, and return why it can't be asked: the loader would find that out by trying for most of a minute."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(name, "tokenizer_config.json"))
    except HfHubHTTPError:  # an answer, with which the loader may do better
        return None
    except Exception as error:  # noqa: BLE001 - whatever stands between us and the Hub
        return error
    return None


def _without_one(name: str) -> SetupError:
    return SetupError(f"exports: tokenizer: {name} has no tokenizer.json, by which texts and tokens are matched")
