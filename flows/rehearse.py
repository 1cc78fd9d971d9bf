"""Rehearse: a spec's draw against simulated teachers, under its own limits and on a lake that is thrown away."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flows import judging
from flows.probe import probe
from flows.spec import Spec
from storage.lake import Lake
from storage.wording import counted
from tasks.teachers.options import TeacherOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """How the draw went."""

    prompts: int
    """Prompts that were asked."""
    samples: int
    """Simulated responses."""
    elapsed_s: float
    """From the first prompt that was read to the last sample that was on disk."""
    samples_per_second: float
    """Of the whole of that."""
    tokens_per_minute: float
    """In and out."""
    cost_usd: float
    """What they would have cost, by the spec's prices."""

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        prompts, samples = counted(self.prompts, "prompt"), counted(self.samples, "sample")
        return [
            ("rehearsed", f"{prompts} on simulated teachers: {samples} in {self.elapsed_s:,.1f} s"),
            ("speed", f"{self.samples_per_second:,.1f} samples/s, {self.tokens_per_minute:,.0f} tokens/min"),
            ("cost", f"${self.cost_usd:,.4f}, had they been real"),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)


def rehearse(spec: Spec, path: Path, console: Console, *, prompts: int) -> Rehearsed:
    """Draw so many prompts of the dataset from simulated teachers. Raise what a build would raise, a spent budget included."""
    with tempfile.TemporaryDirectory(prefix="stillhouse-rehearsal-") as folder:
        began = time.monotonic()
        probed = probe(simulated(spec, path), path, Lake(Path(folder) / "lake"), console, prompts=prompts)
        took = time.monotonic() - began
    return Rehearsed(
        prompts=probed.prompts,
        samples=probed.paid,
        elapsed_s=took,
        samples_per_second=probed.paid / took,
        tokens_per_minute=(probed.tokens_in + probed.tokens_out) / took * 60,
        cost_usd=probed.cost_usd,
    )


def simulated(spec: Spec, path: Path) -> Spec:
    """Return the spec with a simulated teacher in the place of each, and without judges, whose verdicts would have no sense."""
    made = judging.make_verifiers(spec, path)
    verify = tuple(entry for entry, named in zip(spec.verify, made, strict=True) if not judging.asks(named.verifier))
    listed = {entry.use for entry in verify}
    require = spec.select.require
    if isinstance(require, tuple):
        require = tuple(name for name in require if name in listed) or "all"
    return spec.model_copy(
        update={
            "teachers": tuple(map(_simulated, spec.teachers)),
            "verify": verify,
            "select": spec.select.model_copy(update={"require": require}),
            "exports": (),
        }
    )


def _simulated(teacher: TeacherOptions) -> TeacherOptions:
    replicas = tuple(each.model_copy(update={"base_url": None, "api_key_env": None}) for each in teacher.replicas)
    gone = {"base_url": None, "api_key_env": None, "path": None, "api": "chat", "batch": None, "price": teacher.paid}
    return teacher.model_copy(update=gone | {"provider": "simulate", "replicas": replicas})
