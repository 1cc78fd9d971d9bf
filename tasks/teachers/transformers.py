"""A model's folder on this machine, such as a student that `stillhouse distill` saved, asked by transformers in a thread.

Requests that wait are decoded together. For millions of them, a server (vLLM, SGLang) behind provider openai is many times
faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from storage.errors import RequestRejected, SetupError, SpecError
from tasks.teachers import reasoning
from tasks.teachers.asks import Ask, Decoded, How
from tasks.teachers.options import TeacherOptions, TransformersOptions
from tasks.teachers.protocol import Choice, Completion, Request
from tasks.teachers.weights import Stamp, commit, digest, model_folder, stamp

if TYPE_CHECKING:
    from tasks.teachers.decoding import Model

T = TypeVar("T")
GATHER_S = 0.01
"""Requests that come together are so far apart."""
UNDERSTOOD = frozenset({"logprobs", "max_tokens", "seed", "stop", "temperature", "top_logprobs", "top_p"})
"""Parameters."""
TEMPLATE = "chat_template_kwargs"
"""What `extra_body` may have: variables for the chat template, by the name that vLLM and SGLang have for them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """One answer that somebody waits for."""

    ask: Ask
    how: How
    done: asyncio.Future[Decoded]


@dataclass(kw_only=True)
class TransformersTeacher:
    """Asks a model in a thread of its own, which loads it when the first request comes. Not frozen: it holds both."""

    folder: Path
    """The model's."""
    behaviour: TransformersOptions
    """Where and how it runs."""
    template: Mapping[str, Any]
    """Variables for its chat template."""
    _identity: Mapping[str, Any] = field(init=False, repr=False)
    _stamp: Stamp = field(init=False, repr=False)
    _waiting: list[_Job] = field(default_factory=list, init=False, repr=False)
    _some: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _halt: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _thread: ThreadPoolExecutor = field(init=False, repr=False)
    _serving: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")
        self._stamp = stamp(self.folder)
        chosen = {
            "sha256": digest(self.folder),
            "dtype": None if self.behaviour.dtype == "auto" else self.behaviour.dtype,
            TEMPLATE: dict(self.template),
        }
        self._identity = {name: value for name, value in chosen.items() if value}

    @property
    def identity(self) -> Mapping[str, Any]:
        """The digest of weights, tokenizer and chat template: what is trained again is another model."""
        return self._identity

    @property
    def revision(self) -> str:
        """The folder's commit, or its digest."""
        return commit(self.folder) or f"sha256:{self._identity['sha256']}"

    @property
    def capacity(self) -> int:
        """Return how many requests keep it busy: a batch, and the next."""
        return 2 * self.behaviour.batch

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where it has no way to do what they say."""
        self._refuse(parameters)
        if "max_tokens" not in parameters:
            raise SpecError("sampling.max_tokens: provider transformers needs it, since a student may never end by itself")

    def _refuse(self, parameters: Mapping[str, Any]) -> None:
        unknown = sorted(parameters.keys() - UNDERSTOOD)
        if unknown:
            raise SpecError(f"sampling.{unknown[0]}: provider transformers can't; leave it out, or serve the model (openai)")

    async def complete(self, request: Request) -> Completion:
        """Wait for a batch to have the request's answers."""
        self._refuse(request.parameters)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        jobs = self._jobs(request)
        self._waiting += jobs
        self._some.set()
        try:
            found = await asyncio.gather(*(job.done for job in jobs))
        finally:
            for job in jobs:
                job.done.cancel()  # which ends its decoding, where it isn't done
        choices = []
        for each in found:
            thought, text = reasoning.split(each.text)
            choices.append(Choice(response=text, reasoning=thought, finish_reason=each.finish_reason, logprobs=each.logprobs))
        tokens_in, tokens_out = sum(each.tokens_in for each in found), sum(each.tokens_out for each in found)
        return Completion(choices=tuple(choices), tokens_in=tokens_in, tokens_out=tokens_out, revision=self.revision)

    async def aclose(self) -> None:
        """End the thread and forget the model."""
        self._halt.set()
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        await asyncio.to_thread(self._thread.shutdown)

    def _jobs(self, request: Request) -> list[_Job]:
        parameters, loop = request.parameters, asyncio.get_running_loop()
        how = How(
            temperature=float(parameters.get("temperature", 1.0)),
            top_p=float(parameters.get("top_p", 1.0)),
            stop=tuple(parameters.get("stop") or ()),
            top=parameters.get("top_logprobs", 0) if parameters.get("logprobs") else 0,
        )
        seed = parameters.get("seed")
        jobs = []
        for number in range(request.n):
            done: asyncio.Future[Decoded] = loop.create_future()
            ask = Ask(
                messages=request.messages,
                max_tokens=parameters.get("max_tokens"),
                seed=None if seed is None else seed + number,
                dropped=done.cancelled,
            )
            jobs.append(_Job(ask=ask, how=how, done=done))
        return jobs

    async def _serve(self) -> None:
        """Load the model and answer what waits, batch by batch, until it is cancelled. What goes wrong is everybody's answer."""
        batch: list[_Job] = []
        try:
            model = await self._in_thread(self._load)
            while True:
                await self._some.wait()
                await asyncio.sleep(GATHER_S)
                batch = self._next()
                if batch:
                    asks, how = [job.ask for job in batch], batch[0].how
                    _settle(batch, await self._in_thread(partial(model.answer, asks, how, self._halt.is_set)))
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            lost, self._waiting = batch + self._waiting, []
            for job in lost:
                if not job.done.done():
                    job.done.set_exception(error)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _next(self) -> list[_Job]:
        """Take what is decoded together next: the oldest, and what is sampled as it is."""
        self._waiting = [job for job in self._waiting if not job.done.done()]
        batch = [job for job in self._waiting if job.how == self._waiting[0].how][: self.behaviour.batch]
        taken = set(map(id, batch))
        self._waiting = [job for job in self._waiting if id(job) not in taken]
        if not self._waiting:
            self._some.clear()
        return batch

    def _load(self) -> Model:
        _check_packages()
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        from tasks.teachers.decoding import Model

        logging: Any = import_module("transformers.utils.logging")  # without types
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        model = Model(self.folder, device=self.behaviour.device, dtype=self.behaviour.dtype, template=self.template)
        if stamp(self.folder) != self._stamp:
            raise SetupError(f"{self.folder}: has changed since the run began, so it isn't known what would answer; run it again")
        return model


def _check_packages() -> None:
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise SetupError(f"provider transformers needs {name}: pip install 'stillhouse[train]'")


def ready(options: TeacherOptions) -> None:  # noqa: ARG001 - as another provider's
    """Raise SetupError where torch or transformers isn't on this machine."""
    _check_packages()


def make(options: TeacherOptions, *, api_key: str | None) -> TransformersTeacher:  # noqa: ARG001 - the protocol's
    """Return the teacher of a spec's options."""
    where = f"teacher {options.name!r}"
    if options.base_url is not None or options.api_key_env is not None or options.replicas:
        raise SpecError(f"{where}: provider transformers asks nobody: drop base_url, api_key_env and replicas")
    if options.api != "chat":
        raise SpecError(f"{where}: api: only provider openai has `{options.api}`; leave it out")
    template = options.extra_body.get(TEMPLATE, {})
    if options.extra_body.keys() - {TEMPLATE} or not isinstance(template, dict):
        raise SpecError(f"{where}: extra_body: provider transformers knows {TEMPLATE} alone, a mapping of variables")
    return TransformersTeacher(
        folder=model_folder(options.model, where=where),
        behaviour=options.transformers or TransformersOptions(),
        template=template,
    )


def _settle(batch: Sequence[_Job], found: Sequence[Decoded | RequestRejected]) -> None:
    for job, each in zip(batch, found, strict=True):
        if job.done.done():
            continue
        if isinstance(each, RequestRejected):
            job.done.set_exception(each)
        else:
            job.done.set_result(each)
