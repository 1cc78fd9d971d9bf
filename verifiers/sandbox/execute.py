"""One run of a program in a jail: from its standard input to what it printed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from io import FileIO
from typing import Any

from verifiers.sandbox.bubblewrap import HOST_USER
from verifiers.sandbox.jail import END_S, Jail
from verifiers.sandbox.languages import LANGUAGES, MEGABYTE, Language
from verifiers.sandbox.protocol import Execution, Limits, Program
from verifiers.sandbox.watch import Feed, Source, Stop, Stream, TimeUp, throw_out, watch

GRACE_S = 1.0
"""Seconds for what a program leaves running to print the rest, as whoever reads a pipe to its end would see it."""


@contextmanager
def pipes(count: int) -> Iterator[list[tuple[FileIO, FileIO]]]:
    """Return the reading and the writing ends of some pipes.

    They are files, which are closed once however often one asks: by then, the number may be another thread's.
    """
    with ExitStack() as stack:
        pairs = [os.pipe() for _ in range(count)]
        yield [(stack.enter_context(FileIO(reading)), stack.enter_context(FileIO(writing, "w"))) for reading, writing in pairs]


@contextmanager
def _input(language: Language, text: str) -> Iterator[tuple[FileIO, Feed | None]]:
    """Return what a program reads, and what writes to it: a file in memory for Python, whose size some programs ask.

    A pipe for the others: a shell's commands read on where those before have stopped, by whatever name they open it.
    """
    if language.command:
        with pipes(1) as [(reading, writing)]:
            yield reading, Feed(writing, text)
        return
    with FileIO(os.memfd_create("stdin", os.MFD_CLOEXEC), "r+") as file:
        rest = memoryview(text.encode(errors="surrogatepass"))
        while rest:
            rest = rest[file.write(rest) :]
        file.seek(0)
        yield file, None


def how(status: int | None, limits: Limits) -> str:
    """Say how a process ended."""
    if status is None:
        return ""
    if not os.WIFSIGNALED(status):
        return f"exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return f"processor time limit of {limits.cpu_s} s"
    return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"killed by signal {number}"


def run_once(program: Program, stdin: str, limits: Limits, jails: list[Jail], processor: int) -> Execution:
    """Run a program in the one jail. Past a limit, the jail is thrown out."""
    language = LANGUAGES[program.language]
    limits = replace(limits, processes=limits.processes + language.threads)
    with _input(language, stdin) as (given, feed), pipes(2) as ((output_in, output_out), (error_in, error_out)):
        inner = (given, output_out, error_out)
        if language.command and os.geteuid() == 0:  # who isn't a pipe's owner can't open it as /dev/stdin
            for pipe in inner:
                os.fchown(pipe.fileno(), HOST_USER, HOST_USER)
        started = time.monotonic()
        [jail] = jails
        numbers = [pipe.fileno() for pipe in inner]
        jail.run("program", program.source, limits, processor, numbers, _extra(language, program, limits))
        for pipe in inner:
            pipe.close()
        output = Stream(output_in, limits.output_bytes, keep=True)
        errors = Stream(error_in, limits.output_bytes, keep=True)
        try:
            status = _status(jails, [output, errors], feed, limits, started)
            jail.wait_end()
            if jail.used:
                throw_out(jails, jail)
        except Stop as stop:
            jail.must_have_taken()
            throw_out(jails, jail)
            return Execution(stdout="", fault=str(stop), timed_out=isinstance(stop, TimeUp))
    code = None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
    fault = ""
    if status != 0:
        line = language.line_of(errors.text())
        fault = f"{how(status, limits)}{': ' if line else ''}{line}"
    return Execution(stdout=output.text(), stderr=errors.text(), fault=fault, exit_code=code)


def _status(jails: list[Jail], streams: list[Stream], feed: Feed | None, limits: Limits, started: float) -> int:
    """Read what a program prints, and return the wait status of its process. Ask the jail to end the sample."""
    [jail] = jails
    status: list[int] = []

    def ended(source: Source, message: dict[str, Any] | None) -> bool:
        if message is not None:
            jail.must_have_taken()
            status.append(message.get("exit", 1))
            return True
        drained(source, message)
        return False

    def drained(source: Source, message: dict[str, Any] | None) -> bool:  # noqa: ARG001
        streams[:] = [stream for stream in streams if stream is not source]
        return not streams

    watch(jails, streams, limits, started, done=ended, feed=feed)
    if streams:
        rest = feed if feed and not feed.pipe.closed else None
        with suppress(TimeUp):  # "> >(sort)" prints when the program itself is gone
            watch(jails, streams, _until(limits, started, GRACE_S), started, done=drained, feed=rest)
    jail.ask_end()  # whatever else it left running holds the pipes open
    if streams:
        watch([], streams, replace(limits, wall_s=limits.wall_s + END_S), started, done=drained)
    return status[0]


def _until(limits: Limits, started: float, seconds: float) -> Limits:
    """Return limits that hold for so many seconds from now on, and never longer than these."""
    return replace(limits, wall_s=min(limits.wall_s, time.monotonic() - started + seconds))


def _extra(language: Language, program: Program, limits: Limits) -> dict[str, Any]:
    """Return what another language's interpreter needs of the fork server."""
    if not language.command:
        return {}
    file = language.file_of(program.source)
    # V8 takes 0 as a seed for none: random numbers would differ from run to run.
    words = {"memory_mb": limits.memory_bytes // MEGABYTE, "seed": program.seed + 1, "file": file}
    extra: dict[str, Any] = {
        "command": [word.format(**words) for word in language.command],
        "file": file,
        "environment": dict(language.environment),
    }
    if language.reserve_bytes:
        extra["memory_bytes"] = limits.memory_bytes + language.reserve_bytes
        extra["data_bytes"] = limits.memory_bytes + language.data_bytes
    return extra
