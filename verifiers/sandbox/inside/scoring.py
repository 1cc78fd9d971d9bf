"""How many of the tests pass: each is run, whatever became of those before it."""

from __future__ import annotations

import base64
import marshal
from collections.abc import Callable
from typing import Any, NoReturn

from verifiers.sandbox.inside.blame import blame
from verifiers.sandbox.inside.names import Names

SHARE = 200
End = Callable[..., NoReturn]


class Tally:
    """Counts. Every end of the tests goes through it, whoever calls it: the code may end its process in the middle."""

    def __init__(self, known: int, end: End) -> None:
        """`known`: how many tests their text shows, for where they end before all were met."""
        self.known = known
        self.inner = end
        self.met = 0
        self.right = 0
        self.first = ""
        self.inside = False

    def end(self, kind: str, reason: str = "") -> NoReturn:
        """End the tests, with the part that passed."""
        if kind == "undecided":
            self.inner(kind, reason)
        if kind == "passed" and self.right == self.met:
            self.inner("passed", "", 1.0)
        if kind == "failed" and not self.inside:  # between two tests: it counts as one
            self.met += 1
        total = max(self.known, self.met)
        first = self.first or f"test {self.met}: {reason}"
        self.inner("failed", f"{self.right} of {total} passed; {first[:SHARE]}", self.right / total)

    def run(self, test: Callable[[], None], names: Names, text: str) -> None:
        """Run one test. What can't be decided of it can't be decided of all."""
        self.met += 1
        self.inside = True
        try:
            test()
        except BaseException as error:  # noqa: BLE001 - tests raise anything
            kind, reason = blame(error, names, text)
            if kind == "undecided":
                self.end(kind, reason)
            self.first = self.first or f"test {self.met}: {reason}"
        else:
            self.right += 1
        self.inside = False


def run_parts(job: dict[str, Any], names: Names, tally: Tally) -> None:
    """Run the top-level statements of the tests, each test among them by itself."""
    for packed, is_test in job["parts"]:
        code = marshal.loads(base64.b85decode(packed))  # noqa: S302 - the host's
        if is_test:
            tally.run(lambda code=code: exec(code, names), names, job["tests"])  # type: ignore[misc]  # noqa: S102
        else:
            exec(code, names)  # noqa: S102 - the prompt's tests
