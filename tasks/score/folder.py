"""Scoring by a model's folder on this machine, such as a student that `stillhouse distill` saved, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from storage.errors import RequestRejected, SetupError
from storage.records import Message
from tasks.score.answers import Answer
from tasks.score.protocol import Scored
from tasks.teachers import transformers
from tasks.teachers.options import TeacherOptions
from tasks.teachers.weights import Stamp, stamp

if TYPE_CHECKING:
    from tasks.score.forward import Forward, Given

_Waiting = tuple["Given", "asyncio.Future[Scored]"]


@dataclass(kw_only=True)
class FolderScorer:
    """Loads a model when the first response comes, and scores those together that wait. Not frozen: it holds the model."""

    teacher: transformers.TransformersTeacher
    """Who would answer with that model: it knows the folder, how to run it, and what identifies it."""
    _stamp: Stamp = field(init=False, repr=False)
    _model: Forward | None = field(default=None, init=False, repr=False)
    _waiting: list[_Waiting] = field(default_factory=list, init=False, repr=False)
    _working: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _thread: ThreadPoolExecutor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._stamp = stamp(self.teacher.folder)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The digest of weights, tokenizer and chat template: what is trained again is another model."""
        return self.teacher.identity

    @property
    def capacity(self) -> int:
        """Return how many responses keep it busy."""
        return self.teacher.capacity

    async def score(self, messages: Sequence[Message], answer: Answer, top: int) -> Scored:
        """Wait for a batch to have the response's score."""
        _needed()
        from tasks.score.forward import Given

        done: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        self._waiting.append((Given(messages=tuple(messages), answer=answer, top=top), done))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return replace(await done, revision=self.teacher.revision)

    async def _work(self) -> None:
        """Score what waits, batch by batch, until nothing does. What goes wrong is raised where somebody waits."""
        await asyncio.sleep(transformers.GATHER_S)
        while self._waiting:
            size = self.teacher.behaviour.batch
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            batch = [each for each in batch if not each[1].done()]
            found: Sequence[Scored | BaseException]
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._score, [given for given, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
                found = [error] * len(batch)
            for (_, done), each in zip(batch, found, strict=True):
                if done.done():
                    continue
                if isinstance(each, BaseException):
                    done.set_exception(each)
                else:
                    done.set_result(each)

    def _score(self, given: Sequence[Given]) -> Sequence[Scored | RequestRejected]:
        if self._model is None:
            self._model = self._load()
        return self._model.score(given)

    def _load(self) -> Forward:
        from tasks.score.forward import Forward

        teacher = self.teacher
        model = Forward(teacher.folder, device=teacher.behaviour.device, dtype=teacher.behaviour.dtype, template=teacher.template)
        if stamp(teacher.folder) != self._stamp:
            raise SetupError(
                f"{teacher.folder}: has changed since the run began, so it isn't known what would score; run it again"
            )
        return model

    async def aclose(self) -> None:
        """End the thread and forget the model."""
        waiting, self._waiting = self._waiting, []
        for _, done in waiting:
            done.cancel()
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait({self._working})
        await asyncio.to_thread(self._thread.shutdown)
        self._model = None
        await self.teacher.aclose()


def _needed() -> None:
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise SetupError(f"scoring by a model's folder needs {name}: pip install 'stillhouse[train]'")


def make(options: TeacherOptions, *, api_key: str | None) -> FolderScorer:
    """Return the scorer of a teacher's options."""
    return FolderScorer(teacher=transformers.make(options, api_key=api_key))
