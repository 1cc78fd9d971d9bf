"""Style is not skill: how responses are written, and how far that alone tells which ones the verifiers accept.

A student learns a teacher's manner as readily as its method. Where a habit, or length alone, foretells acceptance, a better score
may be a better imitation. The phrases are English ones; in other languages only the formatting counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

HEAD = 8_000
"""Characters of a response in which habits are looked for."""
TAIL = 300
"""Characters of its end in which a closing is looked for."""
QUANTILES = 5
"""Parts of the responses by length."""
ENOUGH = 30
"""Accepted ones, and others, from which on a predictor is spoken of."""
TELLING = 0.7
"""An area under the curve from which on length alone is said to guess acceptance."""

_OPENINGS = (
    r"certainly|sure(?=[,!.])|of course|absolutely|definitely|(?:great|good) question|okay(?=[,!.])|alright(?=[,!.])",
    r"i'd be (?:happy|glad) to|i(?:'m| am) (?:happy|glad) to|i can help|happy to help|thank(?:s| you) for|let me ",
    r"let's (?:break|solve|think|work|start|dive|tackle)|to (?:solve|answer|find|determine|address) (?:this|the)",
    r"here(?:'s| is| are) (?:a|an|the|some|my)\b",
)
_CLOSINGS = (
    r"i hope (?:this|that|it) (?:helps|clarifies)|hope this helps|let me know if|feel free to|don't hesitate to",
    r"if you have any (?:other |further |more |additional )?questions|is there anything else|happy to help",
    r"\bin (?:conclusion|summary)\b|\bto (?:summarize|sum up|conclude)\b|\boverall,",
)
_HEDGES = (
    r"\bperhaps\b|\bmaybe\b|\bprobably\b|\bpossibly\b|\bi think\b|\bi believe\b|\bit seems\b|\bseems to\b",
    r"\b(?:might|could|may) be\b|\bit(?:'s| is) (?:important|worth) (?:to note|noting)\b|\bgenerally speaking\b",
    r"\bas an ai\b|\bi'm not (?:entirely )?sure\b",
)
_EMOJI = "[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2705]"
HABITS: dict[str, re.Pattern[str]] = {
    "opening": re.compile(rf"\s*(?:{'|'.join(_OPENINGS)})", re.IGNORECASE),
    "closing": re.compile("|".join(_CLOSINGS), re.IGNORECASE),
    "hedge": re.compile("|".join(_HEDGES), re.IGNORECASE),
    "list": re.compile(r"^[ \t]*[-*+•][ \t]+\S", re.MULTILINE),
    "numbered_list": re.compile(r"^[ \t]*\d{1,3}[.)][ \t]+\S", re.MULTILINE),
    "heading": re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE),
    "bold": re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
    "code": re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE),
    "table": re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE),
    "latex": re.compile(r"\$\$|\\\(|\\\[|\\boxed\{|\\frac\{|\$[^$\n]*\\[a-z]+[^$\n]*\$"),
    "emoji": re.compile(_EMOJI),
}
"""What is looked for, in a response's head; an opening at its very beginning, a closing in its tail."""


@dataclass(slots=True)
class _Habit:
    responses: int = 0
    accepted: int = 0
    traces: int = 0


@dataclass(slots=True)
class Style:
    """Counts habits, one response at a time."""

    responses: int = 0
    accepted: int = 0
    traces: int = 0
    habits: dict[str, _Habit] = field(default_factory=lambda: {name: _Habit() for name in HABITS})

    def add(self, head: str, tail: str, *, accepted: bool, trace: bool) -> None:
        """Count a response, of which these are the first HEAD and the last TAIL characters."""
        self.responses += 1
        self.accepted += accepted
        self.traces += trace
        for name in found(head, tail):
            habit = self.habits[name]
            habit.responses += 1
            habit.accepted += accepted
            habit.traces += trace

    def as_dict(self) -> dict[str, Any]:
        """Return for each habit its share of the responses and of the traces, and the pass rate with and without it."""
        return {
            "sample": self.responses,
            "habits": {
                name: {
                    "share": _share(habit.responses, self.responses),
                    "share_of_traces": _share(habit.traces, self.traces),
                    "pass_rate_with": _share(habit.accepted, habit.responses),
                    "pass_rate_without": _share(self.accepted - habit.accepted, self.responses - habit.responses),
                }
                for name, habit in self.habits.items()
            },
        }


def found(head: str, tail: str) -> list[str]:
    """Return the habits of a response."""
    return [
        name
        for name, pattern in HABITS.items()
        if (pattern.match(head) if name == "opening" else pattern.search(tail if name == "closing" else head))
    ]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Responses of one length."""

    length: int
    """Characters, reasoning included."""
    accepted: int
    """By the verifiers."""
    refused: int
    """By them, or undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """How well length alone guesses which responses are accepted. Measured on the responses that it is fitted to."""

    auc: float
    """Chance that of an accepted response and another one the accepted is the longer, ties being halves; .5 says nothing."""
    threshold: int
    """Characters, reasoning included."""
    longer: bool
    """Whether those above the threshold are guessed to be accepted; else those up to it."""
    accuracy: float
    """Share that is guessed rightly by the best threshold."""
    base: float
    """Share that is guessed rightly by always saying what is more frequent."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return asdict(self)


def guess(lengths: Sequence[Length]) -> Guess | None:
    """Return the length-only predictor of responses counted by length, the shortest first; None where all went one way."""
    accepted, refused = (sum(getattr(each, name) for each in lengths) for name in ("accepted", "refused"))
    if not accepted or not refused:
        return None
    wins = below_refused = below_accepted = 0
    total = accepted + refused
    base = max(accepted, refused) / total
    best = (base, lengths[0].length - 1, accepted >= refused)  # a threshold below all: whatever is said, it is said of all
    for each in lengths:
        wins += each.accepted * (2 * below_refused + each.refused)
        below_refused += each.refused
        below_accepted += each.accepted
        right = below_refused + accepted - below_accepted  # where the longer ones are said to be accepted
        for said, longer in ((right / total, True), (1 - right / total, False)):
            if said > best[0]:
                best = (said, each.length, longer)
    return Guess(
        auc=round(wins / (2 * accepted * refused), 6),
        threshold=best[1],
        longer=best[2],
        accuracy=round(best[0], 6),
        base=round(base, 6),
    )


def quantiles(lengths: Sequence[Length]) -> list[dict[str, Any]]:
    """Return the pass rate by length, in up to QUANTILES parts of about as many responses each; equal lengths stay together."""
    total = sum(each.accepted + each.refused for each in lengths)
    parts: list[list[Length]] = []
    seen = 0
    for each in lengths:
        part = min(seen * QUANTILES // total, QUANTILES - 1)
        while len(parts) <= part:
            parts.append([])
        parts[part].append(each)
        seen += each.accepted + each.refused
    return [
        {
            "from": part[0].length,
            "to": part[-1].length,
            "responses": sum(each.accepted + each.refused for each in part),
            "pass_rate": _share(sum(each.accepted for each in part), sum(each.accepted + each.refused for each in part)),
        }
        for part in parts
        if part
    ]


def sentence(responses: int, by_length: Iterable[dict[str, Any]], guessed: dict[str, Any] | None) -> str | None:
    """Return one sentence where length alone guesses acceptance well; None where it doesn't, or there is too little to say so."""
    if guessed is None:
        return None
    passed = sum(round((part["pass_rate"] or 0) * part["responses"]) for part in by_length)
    if min(passed, responses - passed) < ENOUGH or TELLING > guessed["auc"] > 1 - TELLING:
        return None
    which = "longer" if guessed["auc"] >= TELLING else "shorter"
    side = "longer than" if guessed["longer"] else "of at most"
    return (
        f"length alone guesses acceptance: an accepted response is the {which} one of a pair in "
        f"{max(guessed['auc'], 1 - guessed['auc']):.0%}, and `accepted where {side} {guessed['threshold']:,} characters` is "
        f"right for {guessed['accuracy']:.0%} (always the same answer: {guessed['base']:.0%}); look whether the verifiers judge "
        "more than style"
    )
