"""Many checks in one call to a worker: to hand one over by itself takes longer than most of them do.

For verifiers that are *pure*: a finding follows from the options, the prompt and the sample, and nothing else comes of a check.
So one may be made in whichever process, and made again where it, or one beside it, came to no good end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from storage.records import Prompt, Sample
from verifiers import running, workers
from verifiers.parts import Combinator
from verifiers.protocol import Checked, Finding, Verifier

SLICE_S = 0.05
"""After so long no other check of a bundle is begun: the limit of the call is then that of one check, and little more."""
Check = tuple[Verifier, Prompt, Sample]
Found = tuple[Finding | None, float]
"""What was found, and the seconds that it took. None: the check wants to be made by itself."""


def pure(verifier: Verifier) -> bool:
    """Whether a verifier's checks may be bundled. Unless it says so, they aren't: somebody's check may count, or cost."""
    parts = verifier.of if isinstance(verifier, Combinator) else ()
    return bool(getattr(verifier, "pure", False)) and all(pure(part.verifier) for part in parts)


def limit_s(verifier: Verifier) -> float:
    """Return the seconds that a check may take in a bundle: by itself, or a part of it by itself, none of it takes longer."""
    parts = verifier.of if isinstance(verifier, Combinator) else ()
    return min([verifier.limit_s, *(limit_s(part.verifier) for part in parts)])


def check_all(checks: Sequence[Check]) -> list[Found]:
    """Make checks in a worker, as many of the first of them as there is time for. The shortest of their limits is that of each.

    Raise what `Workers.call` raises: then nobody knows which of the checks it was.
    """
    shortest_s = min((limit_s(verifier) for verifier, _, _ in checks), default=60.0)
    light = [(verifier, prompt, sample.light()) for verifier, prompt, sample in checks]
    return workers.default().call(_made, light, timeout_s=shortest_s + SLICE_S)


def _made(checks: Sequence[Check]) -> list[Found]:
    found: list[Found] = []
    began = at = time.perf_counter()
    with workers.none_within():
        for verifier, prompt, sample in checks:
            finding = _finding(verifier, prompt, sample)
            before, at = at, time.perf_counter()
            found.append((finding, at - before))
            if at - began > SLICE_S:
                break
    return found


def _finding(verifier: Verifier, prompt: Prompt, sample: Sample) -> Finding | None:
    try:
        return running.finding(cast("Checked", verifier.check(prompt, sample)))
    except (Exception, SystemExit, workers.NeedsWorker):  # noqa: BLE001 - whoever makes it by itself tells what it is
        return None
