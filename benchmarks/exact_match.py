"""Number verdicts a second on one core, over responses of about 200 words.

python -m benchmarks.exact_match
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

from storage.records import Prompt, Sample
from verifiers.exact_match import ExactMatch

RESPONSES = 2000
SECONDS = 2.0
STEPS = (
    "First, {name} packs {a} boxes with {b} jars each, which makes {a} \u00d7 {b} = {c} jars in all.",
    "Of these {c} jars, {d} break on the way to the market, so {c} - {d} = {e} jars are left to sell.",
    "Each jar sells for ${f}.50, and on the second day {name} gives a discount of {d}% to the first {b} customers.",
    "We should also keep in mind that {a} of the boxes were borrowed and have to be returned before {f} o'clock.",
    "Let me check this step again: {e} + {d} = {c}, which is what we had before, so the numbers agree.",
)
ENDINGS = (
    "The answer is {x}.",
    "So the final answer is **${x}**.",
    "Therefore:\n\n$$\\boxed{{{x}}}$$",
    "#### {x}",
    "**Answer:** {x} jars",
    "In total {name} earns {e} + {d} = {x}",
)


def response(rng: random.Random) -> tuple[str, int]:
    """Return a made-up solution of about 200 words, and its answer."""
    values = {key: rng.randint(2, 900) for key in "abcdefx"}
    names = {"name": rng.choice(("Ada", "Grace", "Emmy", "Sofia"))}
    steps = [rng.choice(STEPS).format(**values, **names) for _ in range(10)]
    return "\n".join([*steps, rng.choice(ENDINGS).format(**values, **names)]), values["x"]


def main() -> None:
    """Measure."""
    rng = random.Random(7)
    cases = []
    for i in range(RESPONSES):
        text, answer = response(rng)
        prompt = Prompt(prompt_id=str(i), messages=(), prompt="", reference=f"#### {answer}", source="bench", license="CC0-1.0")
        sample = Sample(
            sample_id=str(i),
            prompt_id=str(i),
            teacher="t",
            provider="p",
            model="m",
            sample_index=0,
            messages=(),
            response=text,
            finish_reason="stop",
            tokens_in=1,
            tokens_out=1,
            latency_s=1.0,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        cases.append((prompt, sample))
    words = sum(len(sample.response.split()) for _, sample in cases) / len(cases)
    verifier = ExactMatch(kind="number")
    passed = sum(verifier.check(*case).passed is True for case in cases)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for case in cases:
            verifier.check(*case)
        done += len(cases)
    rate = done / (time.perf_counter() - began)
    print(f"{rate:,.0f} number verdicts a second on one core ({words:.0f} words a response, {passed} of {len(cases)} passed)")


if __name__ == "__main__":
    main()
