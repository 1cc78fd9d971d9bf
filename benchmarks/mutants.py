"""Whether the sandbox and a plain `python -I` process say the same of mutants of HumanEval's canonical solutions.

    python benchmarks/mutants.py [--mutants 1000] [--seed 7] [--workers 2]

A mutant is a canonical solution with one small change. Most are wrong and some mean the same as before; either way the two must
agree, whatever the change has made of it: another answer, an exception, an endless loop. Prints every disagreement, and ends
with 1 where there is one.
"""

from __future__ import annotations

import argparse
import ast
import collections
import copy
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox import problems

from verifiers.reading.code import trusted_part
from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.protocol import Limits, PythonJob

WALL_S = 4.0
"""For the slowest canonical solution, several times what it takes."""
MEMORY = 512 << 20
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Lt: (ast.GtE, ast.LtE), ast.LtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.LtE, ast.GtE), ast.GtE: (ast.Lt, ast.Gt), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add, ast.FloorDiv), ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mult), ast.Mod: (ast.FloorDiv, ast.Add), ast.Pow: (ast.Mult,), ast.BitXor: (ast.BitOr,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,), ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,),
}  # fmt: skip

Change = tuple[str, Callable[[], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change to one solution."""

    task: dict[str, Any]
    """The problem it is of."""
    operator: str
    """What kind of change it is."""
    source: str
    """All of its code."""


def comparisons(node: ast.AST) -> Iterator[Change]:
    """Turn an order around, or move its boundary."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                boundary = {type(operator), other} in ({ast.Lt, ast.LtE}, {ast.Gt, ast.GtE})
                yield "boundary" if boundary else "comparison", lambda i=index, o=other: node.ops.__setitem__(i, o())


def arithmetic(node: ast.AST) -> Iterator[Change]:
    """Calculate something else."""
    if isinstance(node, ast.BinOp | ast.AugAssign):
        for other in ARITHMETIC[type(node.op)]:
            yield "arithmetic", lambda o=other: setattr(node, "op", o())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "arithmetic", lambda: setattr(node, "op", ast.UAdd())


def constants(node: ast.AST) -> Iterator[Change]:
    """Count one more or less, or say another text."""
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield "boolean", lambda: setattr(node, "value", not value)
    elif isinstance(value, int | float):
        for step in (1, -1):
            yield "constant", lambda s=step: setattr(node, "value", value + s)
    elif isinstance(value, str):
        yield "constant", lambda: setattr(node, "value", f"{value}x")


def booleans(node: ast.AST) -> Iterator[Change]:
    """Ask for the opposite, or for one of two in place of both."""
    if isinstance(node, ast.BoolOp):
        yield "boolean", lambda: setattr(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield "boolean", lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "boolean", lambda: setattr(node, "op", ast.UAdd())


def returns(node: ast.AST) -> Iterator[Change]:
    """Return nothing, or the value in a list."""
    if isinstance(node, ast.Return) and node.value is not None:
        value = node.value
        yield "return", lambda: setattr(node, "value", ast.Constant(None))
        yield "return", lambda: setattr(node, "value", ast.List([value], ast.Load()))


def deletions(node: ast.AST) -> Iterator[Change]:
    """Leave a statement out."""
    for field in ("body", "orelse"):
        body = getattr(node, field, None)
        if isinstance(body, list) and not isinstance(node, ast.Module):
            for index, statement in enumerate(body):
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                    yield "deletion", lambda b=body, i=index: b.__setitem__(i, ast.Pass())


OPERATORS = (comparisons, arithmetic, constants, booleans, returns, deletions)


def changes(tree: ast.Module, name: str) -> list[Change]:
    """Return all changes to a function, in a fixed order. Docstrings and annotations decide nothing, so they stay.

    So do helpers that the prompt gives: in the sandbox, the tests use the prompt's own whatever the code says they are.
    """
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    idle = {
        id(part)
        for node in ast.walk(function)
        for still in (
            [node.value] if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else
            [annotation for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)) if annotation]
        )
        for part in ast.walk(still)
    }  # fmt: skip
    return [change for node in ast.walk(function) if id(node) not in idle for operator in OPERATORS for change in operator(node)]


def mutants(tasks: list[dict[str, Any]], number: int, seed: int) -> list[Mutant]:
    """Return so many different mutants, spread over the tasks and, as far as they go, over the kinds of change."""
    chance = random.Random(seed)
    waiting: dict[str, list[Mutant]] = {task["task_id"]: [] for task in tasks}
    for task in tasks:
        tree = ast.parse(task["prompt"] + task["canonical_solution"])
        seen = {ast.unparse(tree)}
        for index in range(len(changes(tree, task["entry_point"]))):
            mutated = copy.deepcopy(tree)
            kind, apply = changes(mutated, task["entry_point"])[index]
            apply()
            source = ast.unparse(ast.fix_missing_locations(mutated))
            if source not in seen:
                seen.add(source)
                waiting[task["task_id"]].append(Mutant(task=task, operator=kind, source=source))
        chance.shuffle(waiting[task["task_id"]])
    chosen: list[Mutant] = []
    counts: collections.Counter[str] = collections.Counter()
    while len(chosen) < number and any(waiting.values()):
        for found in waiting.values():
            if found and len(chosen) < number:
                rarest = min(found, key=lambda mutant: counts[mutant.operator])
                found.remove(rarest)
                counts[rarest.operator] += 1
                chosen.append(rarest)
    return chosen


# The same limits as in the sandbox, so that a mutant that fills the memory ends as soon.
PLAIN = f"import resource\nresource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n"


def plain(mutant: Mutant) -> tuple[bool, str]:
    """Judge a mutant by running it and its tests in one process, as HumanEval's own program does."""
    task = mutant.task
    source = f"{PLAIN}{mutant.source}\n{task['test']}\ncheck({task['entry_point']})\n"
    with tempfile.TemporaryDirectory() as folder:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-"], input=source.encode(), capture_output=True, check=False, timeout=WALL_S, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return False, "time limit"
    return ended.returncode == 0, (ended.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]


def main() -> None:
    """Judge all mutants both ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    sandbox = BubblewrapSandbox(options.workers)

    def sealed(mutant: Mutant) -> tuple[bool | None, str]:
        prelude = trusted_part(mutant.task["prompt"], mutant.task["entry_point"])
        job = PythonJob(source=mutant.source, tests=mutant.task["test"], entry_point=mutant.task["entry_point"], prelude=prelude)
        result = sandbox.run_python(job, Limits(wall_s=WALL_S, memory_bytes=MEMORY))
        return result.passed, result.reason

    chosen = mutants(problems(), options.mutants, options.seed)
    with ThreadPoolExecutor(options.workers) as pool:
        jailed = list(pool.map(sealed, chosen))
        bare = list(pool.map(plain, chosen))
    sandbox.close()
    kinds = collections.Counter(mutant.operator for mutant in chosen)
    print(f"mutants        {len(chosen):5}  ({', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))})")
    print(f"pass in the sandbox    {sum(passed is True for passed, _ in jailed):5}")
    print(f"pass in python -I      {sum(passed for passed, _ in bare):5}")
    apart = [row for row in zip(chosen, jailed, bare, strict=True) if row[1][0] is not row[2][0]]
    print(f"disagreements          {len(apart):5}")
    for mutant, (passed, reason), (other, why) in apart:
        print(f"\n{mutant.task['task_id']}, {mutant.operator}: sandbox {passed} ({reason}), python -I {other} ({why})")
        print(mutant.source)
    sys.exit(bool(apart))


if __name__ == "__main__":
    main()
