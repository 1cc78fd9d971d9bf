"""What an evaluation found, for a person: as lines for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flows.watching.tables import unmarked
from storage.wording import counted
from tasks.evaluation.grades import GRADES
from tasks.evaluation.statement import HABIT, points
from tasks.measures.style import HABITS

MATCHED = 5
"""Held-out prompts that were trained on, of which a terminal shows so many."""
TAGS = 20
"""Values of tags that a terminal shows."""

Table = tuple[list[str], list[list[str]]]
"""Heads and rows."""


def rates(found: Mapping[str, Any], compared: Sequence[Mapping[str, Any]]) -> Table:
    """Return the contestants' rates, and what they differ by from the baseline."""
    ks = [str(k) for k in found["ks"]]
    rows = [[each["name"], k, *_compared(each, k)] for each in compared for k in ks]
    return _without_empty(["contestant", "k", "pass@k", "at most", f"points against {found['baseline']}"], rows)


def samples(found: Mapping[str, Any]) -> Table:
    """Return what became of the contestants' samples."""
    heads = ["contestant", "samples", *GRADES]
    return heads, [[each["name"], *(f"{each[name]:,}" for name in ("asked", *GRADES))] for each in found["contestants"]]


def by_tag(found: Mapping[str, Any], *, most: int | None = None) -> Table:
    """Return the rates by tag, pass@1 alone."""
    rows = [
        [f"{part['tag']}: {part['value']}", f"{part['prompts']:,}", each["name"], *_compared(each, "1")]
        for part in found["by_tag"][:most]
        for each in part["contestants"]
    ]
    return _without_empty(["tag", "prompts", "contestant", "pass@1", "at most", f"points against {found['baseline']}"], rows)


def style(found: Mapping[str, Any]) -> Table:
    """Return how the contestants write: lengths, and the habits that somebody has."""
    names = [each["name"] for each in found["style"]]
    rows = [["characters", *(_number(each["style"]["length"]) for each in found["style"])]]
    for habit in HABITS:
        shares = [each["style"][habit] for each in found["style"]]
        if any(share is not None and share >= HABIT for share in shares):
            rows.append([habit.replace("_", " "), *("none" if share is None else f"{share:.1%}" for share in shares)])
    for measure in ("distinct_2", "compression_ratio", "self_similarity"):
        values = [each["diversity"].get(measure) for each in found["style"]]
        rows.append([measure.replace("_", " "), *("none" if value is None else f"{value:.3g}" for value in values)])
    return ["style", *names], rows


def contamination(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines on what was trained on."""
    told = found["contamination"]
    if not told["looked_in"]:
        yield "trained on: nobody looked; name what was trained on by --against"
        return
    yield f"trained on: {told['prompts']:,} of {found['prompts']:,} prompts stand in {', '.join(told['looked_in'])}"
    for each in told["matched"][:MATCHED]:
        yield f"  prompt {each['prompt_id']} in {each['training']}, {each['place']}: {each['how']}: {each['overlap']}"
    if len(told["matched"]) > MATCHED:
        yield f"  … and {len(told['matched']) - MATCHED:,} more; --json has all"
    if told["prompts"] == found["prompts"]:
        yield "  none is left without them: nothing here tells solving from remembering"


def head(found: Mapping[str, Any]) -> str:
    """Return what was evaluated, in a line."""
    which = "" if found["split"] == "all" else f" of the split {found['split']!r}"
    return (
        f"{found['dataset']}: {counted(found['prompts'], 'prompt')}{which}, {counted(found['k'], 'sample')} each; in brackets "
        f"{found['confidence']:.0%} intervals (bootstrap over prompts, {found['resamples']:,} resamples, seed {found['seed']})"
    )


def markdown(found: Mapping[str, Any]) -> str:
    """Return all of it as Markdown."""
    parts = [head(found), *(f"- {_plain(text)}" for text in (*found["statements"], *found["warnings"]))]
    parts += [_table(rates(found, found["contestants"])), _table(samples(found))]
    parts += [f"- {_plain(line)}" for line in contamination(found)]
    if found["contamination"]["without"]:
        parts += ["Without them:", _table(rates(found, found["contamination"]["without"]))]
    if found["by_tag"]:
        parts.append(_table(by_tag(found)))
    return "\n\n".join([*parts, _table(style(found))])


def _table(table: Table) -> str:
    heads, rows = table
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(text: str) -> str:
    return unmarked(text.replace("|", "\\|").replace("\n", " "))


def _compared(each: Mapping[str, Any], k: str) -> list[str]:
    """Return a contestant's rate, what it is at most where something is open, and what it differs by from the baseline."""
    rate = each["pass_at"][k]
    if rate["value"] is None:
        return ["none", "", ""]
    shown = f"{rate['value']:.1%} [{rate['low']:.1%}, {rate['high']:.1%}]"
    most = "" if rate["at_most"] - rate["value"] < 1e-9 else f"{rate['at_most']:.1%}"  # noqa: PLR2004 - rounding
    return [shown, most, "" if each["difference"] is None else _gap(each["difference"][k])]


def _gap(gap: Mapping[str, Any]) -> str:
    return points(gap).replace(" points", "") + (" *" if gap["excludes_zero"] else "  ")


def _without_empty(heads: list[str], rows: list[list[str]]) -> Table:
    """Return a table less the columns in which nothing stands."""
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    return [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f}"
