"""The command that lets a spec's teachers compete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.arguments import AsJson, LakePath, SpecPath, lake_at, loaded_spec
from flows.commands.printing import err, out, plain, print_json, print_table, spending_told
from storage.errors import SpecError
from storage.wording import counted
from tasks.evaluation.intervals import CONFIDENCE, FEWEST, MOST, RESAMPLES

Shown = tuple[list[str], list[list[str]]]


def evaluate(
    spec: SpecPath,
    lake: LakePath = "lake",
    models: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Teachers that take part, with commas between.", show_default="all that draw"),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="The one that the others are compared with.", show_default="the first")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="test, validation, train or all, by the spec's `select.split`.",
            show_default="test, where it has one",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TRAINED_ON",
            help="What was trained on: a dataset of the lake, lake:PATH#DATASET, or files. May be repeated.",
            show_default="the spec's own dataset, where it is built",
        ),
    ] = None,
    k: Annotated[
        str | None, typer.Option("--k", metavar="NUMBERS", help="Of pass@k, as in 1,4.", show_default="1 and sampling.k")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of the intervals.", show_default="the spec's")] = None,
    resamples: Annotated[int, typer.Option(min=FEWEST, max=MOST, metavar="N", help="Of the bootstrap.")] = RESAMPLES,
    confidence: Annotated[float, typer.Option(min=0, max=1, metavar="SHARE", help="Of an interval.")] = CONFIDENCE,
    as_json: AsJson = False,
) -> None:
    """Let the spec's teachers answer its prompts, and compare them: pass@k by its verifiers, style, what was trained on.

    SPENDS what is missing, as a build would; asked again it costs nothing.
    """
    from flows.process.launch import starting

    options = {
        "models": _names(models),
        "baseline": baseline,
        "split": split,
        "against": against or [],
        "ks": _numbers(k),
        "seed": seed,
        "resamples": resamples,
        "confidence": confidence,
    }
    with starting() as launch:
        from flows.evaluating import Contest, ContestOptions
        from flows.progress import Progress

        loaded, at = loaded_spec(spec), lake_at(lake)
        progress = Progress()
        asked = ContestOptions.of(options)
        Contest(loaded, spec, at, asked)  # which raises where they don't fit, before a server has started
        with spending_told(loaded.dataset, at, progress, as_json=as_json):
            launch.check()
            found = launch.evaluate(spec, loaded.dataset, lake, asked, err, progress)
    if as_json:
        print_json(found)
    else:
        _print_found(found)


def _print_found(found: Mapping[str, Any]) -> None:
    from flows import evaluated

    out.print(Text(plain(evaluated.head(found)), style="bold"))
    _show(evaluated.rates(found, found["contestants"]))
    out.print("* the interval of the difference excludes 0")
    _show(evaluated.samples(found))
    for line in evaluated.contamination(found):
        out.print(Text(plain(line)))
    if found["contamination"]["without"]:
        out.print("without them:")
        _show(evaluated.rates(found, found["contamination"]["without"]))
    if found["by_tag"]:
        _show(evaluated.by_tag(found, most=evaluated.TAGS))
        if len(found["by_tag"]) > evaluated.TAGS:
            out.print(f"… and {counted(len(found['by_tag']) - evaluated.TAGS, 'more value')}; --json has all")
    _show(evaluated.style(found))
    for text in found["statements"]:
        out.print(Text(plain(text), style="bold"))
    for text in found["warnings"]:
        out.print(Text(plain(text), style="yellow"))
    out.print(Text(plain(f"bought {counted(found['paid'], 'sample')} for ${found['cost_usd']:,.4f}; kept as {found['stored']}")))


def _show(shown: Shown) -> None:
    heads, rows = shown
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(heads):
        table.add_column(Text(plain(name)), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    print_table(table)


def _names(said: str | None) -> list[str]:
    return [name.strip() for name in (said or "").split(",") if name.strip()]


def _numbers(said: str | None) -> list[int]:
    try:
        return [int(each) for each in (said or "").split(",") if each.strip()]
    except ValueError:
        raise SpecError(f"--k: {said!r} must be numbers with commas between, as in 1,4") from None
