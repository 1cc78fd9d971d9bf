"""How many false equations `calculation_check` finds in solutions that people wrote, and how many right solutions it fails.

    .venv/bin/python benchmarks/calculations.py gsm8k.jsonl          # lines of {question, answer}

Each result that a solution states (GSM8K marks them: 48/2 = <<48/2=24>>24) is made wrong in turn, in three ways, with the rest of
the solution as it was. One is found where the solution fails, missed where it passes or nothing is decided.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from verifiers.calculations.claims import Claim, claims

MARKED = re.compile(
    r"(?P<sign>=\s?)(?P<before>[$€£]?)<<(?P<left>[^<>=]*[-+*/][^<>=]*)=[^<>]*>>(?P<space>\s?)(?P<shown>\d[\d,]*\.?\d*)"
)
"""A result that is stated behind a sign of equality, of something that is computed."""
MARK = re.compile(r"<<[^<>]*>>")
SHOWN = 12
"""Of the false equations in right solutions."""


def wrong(shown: str) -> Iterator[tuple[str, str]]:
    """Yield ways to be wrong, and the result made wrong: by one, by a digit, by ten times."""
    value = Decimal(shown.replace(",", "").rstrip("."))
    yield "by one", f"{value + 1}"
    digits = f"{value}"
    turned = str((int(digits[0]) + 3) % 9 + 1) + digits[1:]
    yield "in its first digit", turned
    if value:
        yield "by ten times", f"{value * 10:f}".removesuffix(".0")


def plain(text: str) -> str:
    """Return a solution as its reader sees it."""
    return MARK.sub("", text)


def false_ones(text: str, question: str) -> list[Claim]:
    """Return what is told to be false."""
    return [claim for claim in claims(text, prompt=question) if claim.true is False]


def main() -> None:
    """Make every result wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="lines of {question, answer}")
    parser.add_argument("--missed", action="store_true", help="print the sentences of what is missed by one")
    options = parser.parse_args()
    found, stated, alarms, solutions = dict[str, int](), dict[str, int](), list[str](), 0
    for row in map(json.loads, options.file.read_text().splitlines()):
        text, _, _ = row["answer"].partition("####")
        solutions += 1
        as_written = false_ones(plain(text), row["question"])
        alarms += [f"{claim.text}, but it is {claim.truth}" for claim in as_written[:1]]
        for match in MARKED.finditer(text):
            start, end = match.span("shown")
            for way, result in wrong(match["shown"]):
                made = plain(f"{text[:start]}{result}{text[end:]}")
                hit = not {claim.text for claim in false_ones(made, row["question"])} <= {claim.text for claim in as_written}
                found[way] = found.get(way, 0) + hit
                stated[way] = stated.get(way, 0) + 1
                if options.missed and way == "by one" and not hit:
                    at = len(plain(text[:start]))
                    print(made[made.rfind("\n", 0, at) + 1 : made.find("\n", at) + 1 or None].strip())
    for way, number in stated.items():
        print(f"{found[way]:,} of {number:,} results that are wrong {way} are found: {found[way] / number:.1%}")
    print(f"{len(alarms)} of {solutions:,} solutions as they were fail:")
    for alarm in alarms[:SHOWN]:
        print(f"  {alarm}")


if __name__ == "__main__":
    main()
