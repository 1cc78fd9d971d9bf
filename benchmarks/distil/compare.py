"""What verification, deduplication and soft labels are worth to a student: one teacher, four training sets, one held-out set.

    make distil                                             # two cores, under ten minutes
    .venv-train/bin/python benchmarks/distil/compare.py [--full] [--device cuda] [--to FOLDER]

A small teacher is trained on gold solutions of problems of three steps until half of what it samples is right (`--full` trains
several and takes the nearest to that), and a smaller student just so far that it knows the form and little arithmetic. Then all
is stillhouse's. `build` draws samples from the teacher once, and four specs make four training sets of them. What `stillhouse
distill` runs trains the student on each, with the same number of steps of the same number of tokens, once for each seed. Two more
specs, whose teachers are all of these models, ask each the held-out problems, once greedily and once at temperature 1, and judge
by `exact_match`. No held-out problem is in any training set. (A build's outcomes say which model had which problem right, which
resampling seeds needs.)

A seed decides the student's first weights, its training beforehand and its order of training. Intervals (95%) are of a bootstrap
over seeds and prompts; a difference compares the same seeds on the same prompts. Run again, it goes on where it was ended.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import torch
import yaml
from intervals import Bootstrap, Interval, Right, rights
from models import Size, gold, untrained
from problems import problems
from transformers.utils import logging

from tasks.distillation.recipe import Recipe
from tasks.distillation.student import load
from tasks.distillation.training import Training

ROOT = Path(__file__).resolve().parents[2]
STILLHOUSE = [sys.executable, "-m", "flows.cli"]
HELD_OUT, PROMPTS, GOLD, EASY, TRIAL = 1, 2, 3, 4, 5
"""The seeds of the problems."""
STEPS = (3,)
TEACHER = "teacher"
ALTERNATIVES = 8
"""Of the likeliest tokens whose probabilities a sample keeps."""
TRIED = 200
"""Problems by which the teacher is chosen, where there are several."""
EMPTY = "the response is empty"
"""The reason of such an outcome."""
LONGEST = 60
"""Tokens of an answer at most; a right one has 40 or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How large it all is."""

    teacher: Size
    """The teacher's size."""
    student: Size
    """The student's."""
    gold: int
    """Problems that the teacher learns from."""
    taught: tuple[int, ...]
    """Steps in which it does. Of several, the teacher is the one that is right in nearest to half of what it samples."""
    easy: int
    """Problems that a student learns from beforehand."""
    begun: int
    """Steps in which it does."""
    prompts: int
    """Problems that the teacher is asked."""
    k: int
    """Samples of each."""
    distilled: int
    """Steps of a student's training on what it answered."""
    seeds: int
    """Students of each training set."""
    held_out: int
    """Problems that all are asked in the end."""
    tokens: int
    """Of a step, at most."""
    lr: float
    """The highest learning rate."""
    batch: int
    """Answers that are decoded together."""


SMALL = Form(
    teacher=Size(width=96, layers=3),
    student=Size(width=64, layers=2),
    gold=12_000,
    taught=(900,),
    easy=1_000,
    begun=120,
    prompts=1_000,
    k=4,
    distilled=400,
    seeds=3,
    held_out=300,
    tokens=1024,
    lr=6e-3,
    batch=128,
)
FULL = Form(
    teacher=Size(width=384, layers=6),
    student=Size(width=256, layers=4),
    gold=11_000,
    taught=(60, 85, 120, 170, 240, 340, 480, 680),
    easy=1_000,
    begun=60,
    prompts=1_500,
    k=6,
    distilled=400,
    seeds=8,
    held_out=400,
    tokens=4096,
    lr=1.5e-3,
    batch=1024,
)
VERIFY = [{"use": "exact_match", "kind": "number"}, {"use": "calculation_check"}]
WAYS = {"greedily": 0.0, "sampled": 1.0}
"""How held-out problems are answered, by the temperature."""
Found = dict[str, dict[str, bool]]
"""Whether a model, by its name, had a problem right."""
SOFT = "verified, soft labels"
SETS: dict[str, dict[str, Any]] = {
    "unverified": {"dedup": {"exact": False}},
    "verified": {"verify": VERIFY, "dedup": {"exact": False}},
    "verified, deduplicated": {"verify": VERIFY, "dedup": {"near": True}, "select": {"per_prompt": 2}},
    SOFT: {"verify": VERIFY, "dedup": {"exact": False}},
}
"""What each training set's spec has beside what all have."""
BASELINE = next(iter(SETS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training. Done already, it takes nothing; ended in the middle, it goes on."""

    shards: Path
    """What is learnt."""
    student: Path
    """Who learns it."""
    to: Path
    """Where what was learnt goes."""
    recipe: dict[str, Any]
    """How."""
    device: str
    """Where."""

    def do(self) -> Path:
        """Train, on one core, and return the folder."""
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(1)
        training = Training(load(str(self.student)), self.shards, self.to, Recipe(**self.recipe), device=self.device)
        found = training.run()
        print(f"trained {self.to.name}: {found['steps']:,} steps in {found['elapsed_s']:,.0f} s", file=sys.stderr, flush=True)
        return self.to


def side_by_side(jobs: Sequence[Job]) -> list[Path]:
    """Do as many at a time as there are cores: a training of a small model keeps one busy, on a GPU too."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(min(cores, len(jobs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(Job.do, jobs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder in which one form is run on one device."""

    folder: Path
    form: Form
    device: str
    """auto, cpu or cuda, for training and for decoding."""

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run a command of stillhouse and return what it says. It is left to show its progress."""
        here = os.environ | {"STILLHOUSE_LAKE": str(self.folder / "lake")}
        done = subprocess.run(
            [*STILLHOUSE, *arguments, "--json"], cwd=ROOT, env=here, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"stillhouse {arguments[0]} ended with exit {done.returncode}; the same command goes on from there")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def training(self, shards: Path, student: Path, name: str, *, steps: int, seed: int = 0) -> Job:
        """Return how a model is trained on shards."""
        size = {"tokens_per_batch": self.form.tokens, "accumulate": 1, "checkpoint_every": 200}
        recipe = {"lr": self.form.lr, "steps": steps, "seed": seed, **size}
        return Job(shards=shards, student=student, to=self.folder / name, recipe=recipe, device=self.device)

    def build(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Build a dataset of a spec."""
        path = self.folder / f"{slug(name)}.yaml"
        path.write_text(yaml.safe_dump({"dataset": slug(name), "seed": 7, **spec}, sort_keys=False), encoding="utf-8")
        return self.run("build", str(path))

    def asked(self, name: str, folder: Path) -> dict[str, Any]:
        """Return a model's folder as a spec's teacher."""
        how = {"device": self.device, "batch": self.form.batch}
        return {
            "name": name,
            "provider": "transformers",
            "model": str(folder),
            "license": "Apache-2.0",
            "transformers": how,
            "limits": {"concurrency": 2 * self.form.batch},
            "retry": {"empty": "reject"},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="larger models, more prompts, eight seeds: for a GPU")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="where models are trained and decoded")
    parser.add_argument("--to", type=Path, default=ROOT / "out" / "distil", help="where everything goes")
    options = parser.parse_args()
    form = FULL if options.full else SMALL
    # What was made of other settings stays where it is.
    key = hashlib.sha256(json.dumps([asdict(form), options.device]).encode()).hexdigest()[:8]
    place = Place(folder=options.to.resolve() / f"{'full' if options.full else 'small'}-{key}", form=form, device=options.device)
    place.folder.mkdir(parents=True, exist_ok=True)
    began = clock = time.monotonic()
    teachers, bases = beforehand(place, written(place))
    clock = timed(clock, "teachers and bases")
    teacher = chosen(place, teachers)
    built = {name: drawn(place, name, teacher, bases[0]) for name in SETS}
    clock = timed(clock, "training sets")
    students = distilled(place, bases)
    models = {TEACHER: teacher} | {f"base-{seed}": base for seed, base in enumerate(bases)} | students
    clock = timed(clock, "students")
    found = {way: examined(place, "held-out", way, models, VERIFY[:1]) for way in WAYS}
    timed(clock, "held-out problems")
    ids = [json.loads(line)["id"] for line in (place.folder / "held-out.jsonl").read_text(encoding="utf-8").splitlines()]
    shown = table(place, built, found, ids)
    (place.folder / "result.md").write_text(shown + "\n", encoding="utf-8")
    busy = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{shown}\n\n{time.monotonic() - began:,.0f} s, {busy:,.0f} of processor time, but for what was there; {place.folder}")


def timed(since: float, what: str) -> float:
    """Say how long something took, and return the time."""
    now = time.monotonic()
    print(f"{what}: {now - since:,.0f} s", file=sys.stderr, flush=True)
    return now


def written(place: Place) -> set[str]:
    """Write the prompts and what is held out, and return all questions. None is in two files."""
    known: set[str] = set()
    files = [("held-out", HELD_OUT, place.form.held_out), ("prompts", PROMPTS, place.form.prompts)]
    if len(place.form.taught) > 1:
        files.append(("trial", TRIAL, TRIED))
    for name, seed, count in files:
        some = list(itertools.islice(problems(seed, STEPS, known), count))
        known |= {each.question for each in some}
        rows = [{"id": each.id, "prompt": each.question, "reference": each.answer, "steps": each.steps} for each in some]
        (place.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return known


def beforehand(place: Place, known: set[str]) -> tuple[list[Path], list[Path]]:
    """Train each teacher that may be, and for each seed a base that knows the form, and return the folders."""
    form, folder = place.form, place.folder
    hard = folder / "gold"
    easy = folder / "easy"
    if not (folder / "untrained").exists():
        gold(hard, seed=GOLD, count=form.gold, steps=STEPS, known=known)
        gold(easy, seed=EASY, count=form.easy, steps=STEPS, known=known)
        for seed in range(form.seeds):
            untrained(folder / "begun" / str(seed), form.student, seed)
        untrained(folder / "begun" / TEACHER, form.teacher, 0)
        (folder / "untrained").touch()

    teachers = [
        place.training(hard, folder / "begun" / TEACHER, f"{TEACHER}-{steps}", steps=steps)
        for steps in sorted(form.taught, reverse=True)  # the longest begins first
    ]
    bases = [
        place.training(easy, folder / "begun" / str(seed), f"base-{seed}", steps=form.begun, seed=seed)
        for seed in range(form.seeds)
    ]
    found = side_by_side([*teachers, *bases])
    return found[: len(teachers)], found[len(teachers) :]


def chosen(place: Place, teachers: list[Path]) -> Path:
    """Return the teacher of whose samples nearest to half pass both verifiers, for problems that are used for nothing else."""
    if len(teachers) == 1:
        return teachers[0]
    found = examined(place, "trial", "sampled", {each.name: each for each in teachers}, VERIFY)
    shares = {each: sum(found[each.name].values()) / len(found[each.name]) for each in teachers}
    nearest = min(teachers, key=lambda each: abs(shares[each] - 0.5))
    told = ", ".join(f"{each.name} {share:.0%}" for each, share in shares.items())
    print(f"right of {TRIED} samples: {told}; the teacher is {nearest.name}", file=sys.stderr, flush=True)
    return nearest


def drawn(place: Place, name: str, teacher: Path, tokenizer: Path) -> dict[str, Any]:
    """Build a training set. All draw the same samples, so the first pays and the others find them in the lake."""
    shards = str(place.folder / "shards" / slug(name))
    export = {"format": "soft" if name == SOFT else "tokenized", "to": shards, "tokenizer": str(tokenizer)}
    sampling = {"k": place.form.k, "temperature": 1.0, "max_tokens": LONGEST, "seed": 7, "logprobs": ALTERNATIVES}
    spec = {
        "prompts": [{"source": str(place.folder / "prompts.jsonl"), "license": "CC0-1.0"}],
        "teachers": [place.asked(TEACHER, teacher)],
        "sampling": sampling,
        "exports": [export],
    }
    return place.build(name, spec | SETS[name])


def distilled(place: Place, bases: list[Path]) -> dict[str, Path]:
    """Train a student of each seed on each training set, and return the folders by name."""
    names = [(name, seed) for seed in range(place.form.seeds) for name in SETS]

    jobs = []
    for name, seed in names:
        shards, to = place.folder / "shards" / slug(name), f"students/{slug(name)}-{seed}"
        jobs.append(place.training(shards, bases[seed], to, steps=place.form.distilled, seed=seed))
    return {job.to.name: folder for job, folder in zip(jobs, side_by_side(jobs), strict=True)}


def examined(place: Place, file: str, way: str, models: dict[str, Path], verify: list[dict[str, Any]]) -> Found:
    """Ask every model the problems of a file, and return of which its answer passed the verifiers."""
    name = f"{file}-{way}"
    spec = {
        "prompts": [{"source": str(place.folder / f"{file}.jsonl"), "license": "CC0-1.0"}],
        "teachers": [place.asked(model, folder) for model, folder in models.items()],
        "sampling": {"temperature": WAYS[way], "max_tokens": LONGEST, "seed": 7},
        "verify": verify,
        "dedup": {"exact": False},
    }
    place.build(name, spec)
    with duckdb.connect(str(place.folder / "lake" / "catalog.duckdb"), read_only=True) as lake:
        asked = "SELECT teacher, prompt_id, outcome, reason FROM current_outcomes WHERE dataset = ?"
        rows = lake.execute(asked, [name]).fetchall()
    found: Found = {model: {} for model in models}
    for model, prompt, outcome, reason in rows:
        if outcome == "failed" and reason != EMPTY:  # a model that says nothing is wrong; one that wasn't heard is neither
            sys.exit(f"{model} has no answer to {prompt} ({reason}); the same command asks again")
        found[model][prompt] = outcome == "kept"
    return found


def table(place: Place, built: dict[str, dict[str, Any]], found: dict[str, Found], prompts: list[str]) -> str:
    """Return what came of it as a Markdown table."""
    seeds = range(place.form.seeds)
    students, alone = Bootstrap(len(seeds), len(prompts)), Bootstrap(1, len(prompts))

    def right(way: str, name: str) -> Right:
        return rights(found[way], [f"{name}-{seed}" for seed in seeds], prompts)

    heads = [head for way in WAYS for head in (f"right, {way}", "better than unverified, points")]
    lines = [f"| trained on | traces | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    teacher = " | ".join(f"{alone.interval(rights(found[way], [TEACHER], prompts))} | " for way in WAYS)
    before = " | ".join(f"{students.interval(right(way, 'base'))} | " for way in WAYS)
    lines += [f"| the teacher itself | | {teacher} |", f"| nothing: the student before | | {before} |"]
    for name in SETS:
        cells = []
        for way in WAYS:
            own, baseline = right(way, slug(name)), right(way, slug(BASELINE))
            cells += [str(students.interval(own)), points(students.interval(own - baseline)) if name != BASELINE else ""]
        lines.append(f"| {name} | {built[name]['kept']:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def points(interval: Interval) -> str:
    """Return a difference in percentage points."""
    return f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def slug(name: str) -> str:
    """Return a name as a dataset or a folder can have it."""
    return name.replace(", ", "-").replace(" ", "-")


if __name__ == "__main__":
    main()
