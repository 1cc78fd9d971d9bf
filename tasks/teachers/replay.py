"""A teacher that reads its answers from a file: for tests, for reproducible runs, and for answers that somebody else collected.

The file is JSONL. A line says whose answers they are (`prompt_id`, or `prompt`: the last user turn as it is sent) and what they
are: `responses`, a list by sample index, or `response`, one. An answer is a text, or an object {response, reasoning,
finish_reason, tokens_in, tokens_out, logprobs}, the last in the form that chat completions give them in.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import orjson

from storage.errors import RequestRejected, SourceError, SpecError
from storage.wording import counted
from tasks.teachers import distribution, reasoning
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Choice, Completion, Request


@dataclass(frozen=True, kw_only=True)
class ReplayTeacher:
    """Answers from `path`. The file stays on disk: an index of offsets is made in a temporary file."""

    recorded: ClassVar[bool] = True

    path: Path
    """The JSONL file."""
    identity: Mapping[str, Any] = field(init=False)
    """The file's checksum: other answers are other samples."""
    _by_id: bool = field(init=False, repr=False)
    """Whether any line names its prompt by an id."""
    _file: BinaryIO = field(init=False, repr=False)
    _index: sqlite3.Connection = field(init=False, repr=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            raise SourceError(f"{self.path}: no such file (looked in {Path.cwd()})") from None
        except OSError as error:
            raise SourceError(f"{self.path}: can't be read: {error.strerror}") from error
        folder = tempfile.TemporaryDirectory(prefix="stillhouse-replay-")
        index = sqlite3.connect(Path(folder.name) / "index.sqlite", isolation_level=None, check_same_thread=False)
        digest = hashlib.sha256()
        try:
            index.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;"
                "CREATE TABLE answers (key BLOB PRIMARY KEY, offset INTEGER, place TEXT, said TEXT) WITHOUT ROWID; BEGIN"
            )
            by_id = False
            for key, offset, place, said in _entries(file, self.path, digest):
                by_id |= said is not None
                try:
                    index.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, offset, place, said))
                except sqlite3.IntegrityError:
                    (first,) = index.execute("SELECT place FROM answers WHERE key = ?", (key,)).fetchone()
                    raise SourceError(f"{place}: has the same prompt as {first}; put all its answers into one line") from None
            index.execute("COMMIT")
        except BaseException:
            index.close()
            file.close()
            folder.cleanup()
            raise
        for name, value in (
            ("_by_id", by_id),
            ("_file", file),
            ("_index", index),
            ("_folder", folder),
            ("identity", {"sha256": digest.hexdigest()}),
        ):
            object.__setattr__(self, name, value)

    def answers_by_id(self, prompt_id: str) -> str | None:
        """Return the digest of the answers under this id, where a line has some."""
        found = (
            self._index.execute("SELECT said FROM answers WHERE key = ?", (_key("prompt_id", prompt_id),)) if self._by_id else ()
        )
        return next((said for (said,) in found), None)

    async def complete(self, request: Request) -> Completion:
        """Return the recorded answers from `request.sample_index` on."""
        return self._complete(request)

    def _complete(self, request: Request) -> Completion:
        offset = self._offset(_key("prompt_id", request.prompt_id))
        if offset is None:
            offset = self._offset(_key("prompt", request.messages[-1].content))
        if offset is None:
            raise RequestRejected(f"{self.path} has no answer: prompt {request.prompt_id}")
        self._file.seek(offset)
        answers = _answers(orjson.loads(self._file.readline()))
        wanted = answers[request.sample_index : request.sample_index + request.n]
        if not wanted:
            raise RequestRejected(f"{self.path} has {counted(len(answers), 'answer')}, and not more: prompt {request.prompt_id}")
        try:
            choices = tuple(_choice(answer, logprobs=bool(request.parameters.get("logprobs"))) for answer in wanted)
        except ValueError as error:
            raise RequestRejected(f"{self.path} has an answer that can't be used: prompt {request.prompt_id}: {error}") from None
        return Completion(
            choices=choices,
            tokens_in=sum(answer.get("tokens_in") or 0 for answer in wanted),
            tokens_out=sum(answer.get("tokens_out") or 0 for answer in wanted),
        )

    def _offset(self, key: bytes) -> int | None:
        """Return where the line of a key begins."""
        found = self._index.execute("SELECT offset FROM answers WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    async def aclose(self) -> None:
        """Close the file and remove the index."""
        self._index.close()
        self._file.close()
        await asyncio.to_thread(self._folder.cleanup)


def make(options: TeacherOptions, *, api_key: str | None) -> ReplayTeacher:  # noqa: ARG001 - the protocol's
    """Return the teacher of a spec's options."""
    if options.path is None:
        raise SpecError(f"teacher {options.name!r}: provider replay needs `path`, the JSONL file of its answers")
    if options.api != "chat":
        raise SpecError(f"teacher {options.name!r}: api: only provider openai has `{options.api}`; leave it out")
    return ReplayTeacher(path=Path(options.path).expanduser())


def _key(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{text}".encode(errors="surrogatepass")).digest()[:16]


def _entries(file: BinaryIO, path: Path, digest: Any) -> Iterator[tuple[bytes, int, str, str | None]]:
    """Yield a line's key, where it begins, what it is called and, where it is of a prompt's id, the digest of its answers."""
    offset = 0
    for number, line in enumerate(file, start=1):
        digest.update(line)
        start, offset = offset, offset + len(line)
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SourceError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(row, dict):
            raise SourceError(f"{place}: a line must be a JSON object")
        kind = next((name for name in ("prompt_id", "prompt") if isinstance(row.get(name), str)), None)
        if kind is None:
            raise SourceError(f"{place}: needs `prompt_id` or `prompt`, a text")
        try:
            answers = _answers(row)
        except (KeyError, TypeError, ValueError):
            raise SourceError(
                f"{place}: needs `responses`, a list of texts or of objects with `response`, or `response`; "
                "`reasoning` and `finish_reason` are texts, `tokens_in` and `tokens_out` whole numbers, `logprobs` an object"
            ) from None
        said = hashlib.sha256(orjson.dumps(answers, option=orjson.OPT_SORT_KEYS)).hexdigest() if kind == "prompt_id" else None
        yield _key(kind, row[kind]), start, place, said


def _answers(row: dict[str, Any]) -> list[dict[str, Any]]:
    given = row.get("responses", [{name: row[name] for name in row.keys() - {"prompt_id", "prompt"}}])
    if not isinstance(given, list):
        raise TypeError
    answers = [{"response": answer} if isinstance(answer, str) else dict(answer) for answer in given]
    if not answers or not all(isinstance(answer["response"], str) for answer in answers):
        raise ValueError
    for answer in answers:
        texts = [answer.get(name) or "" for name in ("reasoning", "finish_reason")]
        numbers = [answer.get(name) or 0 for name in ("tokens_in", "tokens_out")]
        if not isinstance(answer.get("logprobs") or {}, dict):
            raise TypeError
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(number, int) for number in numbers):
            raise TypeError
    return answers


def _choice(answer: dict[str, Any], *, logprobs: bool) -> Choice:
    thought, text = answer.get("reasoning"), answer["response"]
    if thought is None:
        thought, text = reasoning.split(text)
    given = (answer.get("logprobs") or {}).get("content") if logprobs else None
    return Choice(
        response=text,
        reasoning=thought,
        finish_reason=answer.get("finish_reason") or "stop",
        logprobs=distribution.read(given) if given else None,
    )
