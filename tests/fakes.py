"""Stand-ins for what stillhouse talks to, and short ways to make its records."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import math
import os
import selectors
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

from storage.errors import StillhouseError
from storage.identity import check_inputs, fingerprint
from storage.records import Logprobs, Message, Prompt, Sample, Verdict
from storage.waste import Note
from tasks.asking.ask import Desk
from tasks.asking.line import open_line
from tasks.sources import Found
from tasks.stop import Stop
from tasks.teachers.batches import BatchState
from tasks.teachers.options import RetryOptions, TeacherOptions
from tasks.teachers.protocol import Choice, Completion, Request, Teacher
from tasks.verify import Named
from verifiers.protocol import Checked

T = TypeVar("T")
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
QUICK = RetryOptions(attempts=3, first_wait_s=0.001, max_wait_s=0.001)
"""Retries that cost a test no time."""


def user(text: str) -> tuple[Message, ...]:
    """Return a conversation of one user turn."""
    return (Message(role="user", content=text),)


def make_prompt(text: str = "What is 2 + 2?", **given: Any) -> Prompt:
    """Return a prompt; its id is its text where no other is given."""
    defaults = {"prompt_id": text, "messages": user(text), "prompt": text, "source": "fake.jsonl", "license": "CC0-1.0"}
    return Prompt(**(defaults | given))


def make_sample(sample_id: str = "s0", **given: Any) -> Sample:
    """Return a sample."""
    defaults: dict[str, Any] = {
        "sample_id": sample_id,
        "prompt_id": "p0",
        "teacher": "smol",
        "provider": "fake",
        "model": "fake-1",
        "sample_index": 0,
        "messages": user("What is 2 + 2?"),
        "response": "4",
        "finish_reason": "stop",
        "tokens_in": 3,
        "tokens_out": 1,
        "latency_s": 0.5,
        "created_at": NOON,
    }
    return Sample(**(defaults | given))


def make_logprobs(*tokens: bytes, alternatives: int = 1) -> Logprobs:
    """Return distributions of these tokens, each with the same alternatives, which it isn't among."""
    others = tuple(b"%d" % number for number in range(alternatives)) * len(tokens)
    share = 1 / (alternatives + 2)
    return Logprobs(
        tokens=tokens,
        ids=None,
        logprobs=(math.log(share),) * len(tokens),
        counts=(alternatives,) * len(tokens),
        top_tokens=others,
        top_ids=None,
        top_logprobs=(math.log(share),) * len(others),
        rest=(share,) * len(tokens),
    )


def make_verdict(sample_id: str = "s0", *, passed: bool | None = True, verifier: str = "fake", **given: Any) -> Verdict:
    """Return a verdict on a sample of `make_prompt()`."""
    defaults: dict[str, Any] = {
        "sample_id": sample_id,
        "verifier": verifier,
        "version": "1",
        "fingerprint": fingerprint(verifier=verifier, version="1", options={}),
        "inputs": check_inputs(make_prompt()),
        "passed": passed,
        "score": None if passed is None else float(passed),
        "reason": "",
        "elapsed_s": 0.0,
    }
    return Verdict(**(defaults | given))


def make_request(text: str = "What is 2 + 2?", **given: Any) -> Request:
    """Return a request for one sample."""
    return Request(**({"prompt_id": text, "messages": user(text), "parameters": {}} | given))


def make_options(name: str = "smol", **given: Any) -> TeacherOptions:
    """Return a teacher's options: it is asked again at once, and never waits."""
    return TeacherOptions(**({"name": name, "provider": "fake", "model": "fake-1", "license": "MIT", "retry": QUICK} | given))


def make_desk(options: TeacherOptions, teacher: Teacher, stop: Stop) -> Desk:
    """Return a desk with one line."""
    return Desk(options, [open_line(teacher, options)], stop)


def found(prompts: Iterable[Prompt], *, given: bool = True) -> list[Found]:
    """Return prompts as a source would yield them."""
    return [Found(prompt=prompt, place=f"fake.jsonl:{line}", given=given) for line, prompt in enumerate(prompts, start=1)]


def completion(*responses: str | Choice, tokens_in: int = 10, tokens_out: int = 20, **given: Any) -> Completion:
    """Return a completion with these texts as choices."""
    choices = tuple(each if isinstance(each, Choice) else Choice(response=each) for each in responses)
    return Completion(choices=choices, tokens_in=tokens_in, tokens_out=tokens_out, **given)


def echo(request: Request) -> Completion:
    """Answer each sample of a request with the prompt's text and the sample's index."""
    indices = range(request.sample_index, request.sample_index + request.n)
    return completion(*(f"{request.messages[-1].content} #{index}" for index in indices), tokens_out=10 * request.n)


@dataclass(kw_only=True)
class FakeTeacher:
    """Answers from a function of the request, which may raise, and remembers what it was asked."""

    answer: Callable[[Request], Completion] = echo
    identity: Mapping[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closed: bool = False

    async def complete(self, request: Request) -> Completion:
        """Let others run, as a network would, and answer."""
        self.requests.append(request)
        await asyncio.sleep(0)
        return self.answer(request)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    @property
    def asked(self) -> list[tuple[str, int]]:
        """Return prompt id and sample index of each sample that was asked for, in the order of asking."""
        return [(r.prompt_id, r.sample_index + i) for r in self.requests for i in range(r.n)]


@dataclass(kw_only=True)
class FakeBatch:
    """One batch at a fake provider."""

    key: str
    requests: Mapping[str, Request]
    polls: int = 0
    cancelled: bool = False


@dataclass(kw_only=True)
class FakeBatchTeacher:
    """A provider of batches that outlives the runs that ask it. A batch ends once it was looked at `polls` times."""

    answer: Callable[[Request], Completion | StillhouseError] = echo
    polls: int = 2
    most_requests: int = 1_000
    most_bytes: int = 1_000_000
    batches: dict[str, FakeBatch] = field(default_factory=dict)
    refused: dict[str, StillhouseError] = field(default_factory=dict)
    """By batch: why nothing of it was begun."""
    submitting: list[tuple[Exception, bool]] = field(default_factory=list)
    """What the next submissions raise, and whether the batch is there all the same."""
    trouble: list[Exception] = field(default_factory=list)
    """What the next looks, searches and readings raise."""
    torn: int = 0
    """Readings that end after the first result."""
    read: int = 0
    """Readings so far."""
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by each submission."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing of its own."""
        return {}

    @property
    def asked(self) -> list[tuple[str, int]]:
        """Return prompt id and first sample index of every request that was ever sent."""
        return [(r.prompt_id, r.sample_index) for batch in self.batches.values() for r in batch.requests.values()]

    def measure(self, request: Request) -> int:
        """Count characters."""
        return sum(len(message.content) for message in request.messages)

    async def submit(self, requests: Mapping[str, Request], *, key: str) -> str:
        """Keep them."""
        await asyncio.sleep(0)
        error, arrives = self.submitting.pop(0) if self.submitting else (None, True)
        name = f"batch-{len(self.batches)}"
        if arrives:
            self.batches[name] = FakeBatch(key=key, requests=dict(requests))
            self.sent.set()
        if error is not None:
            raise error
        return name

    async def find(self, key: str, *, requests: int, since: float, others: Collection[str]) -> str | None:
        """Look through all."""
        self._raise()
        return next((name for name, batch in self.batches.items() if batch.key == key), None)

    async def poll(self, batch_id: str) -> BatchState:
        """Count the looks."""
        self._raise()
        batch = self.batches[batch_id]
        batch.polls += 1
        ended = batch.cancelled or batch.polls >= self.polls
        total = len(batch.requests)
        return BatchState(
            phase="done" if ended else "in progress",
            total=total,
            done=total if ended else 0,
            ended=ended,
            cancelled=batch.cancelled,
            refused=self.refused.get(batch_id),
        )

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Completion | StillhouseError]]:
        """Answer all."""
        self._raise()
        self.read += 1
        for custom_id, request in self.batches[batch_id].requests.items():
            try:
                yield custom_id, self.answer(request)
            except StillhouseError as error:
                yield custom_id, error
            if self.torn:
                self.torn -= 1
                return
            await asyncio.sleep(0)

    async def cancel(self, batch_id: str) -> None:
        """End it."""
        self.batches[batch_id].cancelled = True

    async def aclose(self) -> None:
        """Have nothing to close."""

    def _raise(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)


@dataclass(frozen=True, kw_only=True)
class FakeVerifier:
    """Judges with a function."""

    version: ClassVar[str] = "1"
    isolated: ClassVar[bool] = False
    limit_s: ClassVar[float] = 60
    judge: Callable[[Prompt, Sample], Checked]

    def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Ask the function."""
        return self.judge(prompt, sample)


@dataclass(frozen=True, kw_only=True)
class FakeAsyncVerifier:
    """Judges with a function, on the event loop."""

    version: ClassVar[str] = "1"
    isolated: ClassVar[bool] = False
    limit_s: ClassVar[float] = 60
    judge: Callable[[Prompt, Sample], Checked]

    async def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Ask the function, after others had their turn."""
        await asyncio.sleep(0)
        return self.judge(prompt, sample)


def named(
    name: str = "fake",
    judge: Callable[[Prompt, Sample], Checked] = lambda prompt, sample: True,
    *,
    version: str = "1",
    kind: type[FakeVerifier | FakeAsyncVerifier] = FakeVerifier,
) -> Named:
    """Return a verifier as a spec uses it."""
    print_ = fingerprint(verifier=name, version=version, options={})
    return Named(name=name, version=version, fingerprint=print_, verifier=kind(judge=judge))


@dataclass(kw_only=True)
class FakeJournal:
    """Keeps samples in memory. `refuse` is raised in place of that."""

    samples: list[Sample] = field(default_factory=list)
    refuse: Exception | None = None

    async def append(
        self,
        samples: list[Sample],
        *,
        carries: Sequence[Note] = (),
        carried: Callable[[], object] = lambda: None,
        on_disk: Callable[[], object] = lambda: None,
    ) -> None:
        """Keep them."""
        if self.refuse is not None:
            raise self.refuse
        self.samples += samples
        on_disk()
        carried()
        await asyncio.sleep(0)


class _Skipping(selectors.SelectSelector):
    """Finds at once what is ready and, where nothing is, moves the clock on instead of waiting."""

    now = 0.0
    threads = 0
    """Calls that run in threads: they take real time, and none of the clock's."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and self.threads and timeout > 0:
            return super().select(None)
        if not ready:
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._skipping.threads += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, future: Any) -> None:
        self._skipping.threads -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await super().shutdown_default_executor()  # for which no time is to pass here


def full(*_: object) -> NoReturn:
    """Refuse to write, as a disk does that is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def in_virtual_time(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on an event loop on which hours of sleep take no time; `loop.time()` counts them from 0."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(coroutine)


def without(record: Any, *names: str) -> dict[str, Any]:
    """Return a record as a mapping that lacks some fields."""
    return {name: value for name, value in dataclasses.asdict(record).items() if name not in names}


def columns(rows: Sequence[Mapping[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of rows."""
    return [tuple(row[name] for name in names) for row in rows]


def listing(folder: Path, pattern: str = "*") -> list[str]:
    """Return the names in a folder in order, hidden ones included; none where it isn't there."""
    return sorted(path.name for path in folder.glob(pattern))
