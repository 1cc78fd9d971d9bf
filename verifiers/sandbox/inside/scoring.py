"""How many of the tests pass: each is run, whatever became of those before it."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside.blame import blame
from verifiers.sandbox.inside.names import Names

SHARE = 200
Verdict = tuple[str, str, float | None]


class Tally:
    """Counts. Every verdict goes through it, whoever gives it: the code may end its process in the middle."""

    def __init__(self, known: int) -> None:
        """`known`: how many tests their text shows, for where they end before all were met."""
        self.known = known
        self.met = 0
        self.right = 0
        self.first = ""
        self.inside = False

    def verdict(self, kind: str, reason: str = "") -> Verdict:
        """Return the verdict at the end of the tests, with the part that passed."""
        if kind == "undecided":
            return kind, reason, None
        if kind == "passed" and self.right == self.met:
            return "passed", "", 1.0
        if kind == "failed" and not self.inside:  # between two tests: it counts as one
            self.met += 1
        total = max(self.known, self.met)
        first = self.first or f"test {self.met}: {reason}"
        return "failed", f"{self.right} of {total} passed; {first[:SHARE]}", self.right / total

    def run(self, test: Callable[[], None], names: Names, text: str) -> None:
        """Run one test. Raise what can't be decided of it, for then it can't be decided of all."""
        self.met += 1
        self.inside = True
        try:
            test()
        except BaseException as error:
            kind, reason = blame(error, names, text)
            if kind == "undecided":
                raise
            self.first = self.first or f"test {self.met}: {reason}"
        else:
            self.right += 1
        self.inside = False


def run_parts(job: dict[str, Any], names: Names, tally: Tally) -> None:
    """Run the top-level statements of the tests, each test among them by itself."""
    for packed, is_test in job["parts"]:
        code = marshal.loads(packed)  # noqa: S302 - the host's
        if is_test:
            tally.run(lambda code=code: exec(code, names), names, job["tests"])  # type: ignore[misc]  # noqa: S102
        else:
            exec(code, names)  # noqa: S102 - the prompt's tests
