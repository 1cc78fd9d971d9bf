"""Number and math verdicts a second on one core, over responses of about 200 words.

python -m benchmarks.exact_match
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

from storage.records import Prompt, Sample
from verifiers.exact_match import ExactMatch

RESPONSES = 2000
ALGEBRA = 60
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


def case(i: int, text: str, reference: str) -> tuple[Prompt, Sample]:
    """Return a prompt with this reference and its response."""
    prompt = Prompt(prompt_id=str(i), messages=(), prompt="", reference=reference, source="bench", license="CC0-1.0")
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
    return prompt, sample


def measure(verifier: ExactMatch, cases: list[tuple[Prompt, Sample]], what: str) -> None:
    """Print how many verdicts a second there are, one after another."""
    passed = sum(verifier.check(*each).passed is True for each in cases)  # loads what is needed, too
    words = sum(len(sample.response.split()) for _, sample in cases) / len(cases)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for each in cases:
            verifier.check(*each)
        done += len(cases)
    rate = done / (time.perf_counter() - began)
    print(f"{rate:,.0f} {what} verdicts a second on one core ({words:.0f} words a response, {passed} of {len(cases)} passed)")


def algebra(rng: random.Random) -> tuple[str, str]:
    """Return two forms of one expression that only algebra shows to be equal."""
    a, b = rng.randint(2, 90), rng.randint(2, 90)
    return rng.choice(
        (
            (f"(x+{a})(x-{b})", f"x^2+{a - b}x-{a * b}".replace("+-", "-")),
            (rf"\sqrt{{{a * a * 3}}}", rf"{a}\sqrt{{3}}"),
            (rf"\frac{{{a}}}{{\sqrt{{{b}}}}}", rf"\frac{{{a}\sqrt{{{b}}}}}{{{b}}}"),
            (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{\pi}}{{{b}}}\cdot {a}"),
        )
    )


def main() -> None:
    """Measure."""
    rng = random.Random(7)
    drawn = [response(rng) for _ in range(RESPONSES)]
    measure(ExactMatch(kind="number"), [case(i, text, f"#### {x}") for i, (text, x) in enumerate(drawn)], "number")
    drawn = [(text.replace("\\boxed", ""), x) for text, x in drawn]  # two boxes side by side are two answers
    boxed = [case(i, f"{text}\n\\boxed{{\\frac{{{x}}}{{7}}}}", f"{x}/7") for i, (text, x) in enumerate(drawn)]
    measure(ExactMatch(kind="math"), boxed, "math")
    pairs = [(text, *algebra(rng)) for text, _ in drawn[:ALGEBRA]]
    algebraic = [case(i, f"{text}\n\\boxed{{{one}}}", other) for i, (text, one, other) in enumerate(pairs)]
    measure(ExactMatch(kind="math"), algebraic, "math (through algebra in a worker)")


if __name__ == "__main__":
    main()
