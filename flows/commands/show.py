"""The command that shows samples."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.text import Text

from flows.commands.arguments import AsJson, BuildId, Dataset, LakePath, lake_at
from flows.commands.printing import out, print_json
from storage.errors import SpecError

SHOWN = 3
"""Samples that are shown where nobody says how many."""
WHOLE = 64
"""Samples of one prompt that are."""


def show(
    dataset: Dataset,
    lake: LakePath = "lake",
    build_id: BuildId = None,
    outcome: Annotated[
        Literal["kept", "rejected", "failed", "any"] | None,
        typer.Option(help="Which samples.", show_default="kept; any with --prompt, --stage or --verifier"),
    ] = None,
    prompt: Annotated[str | None, typer.Option(metavar="ID", help="One prompt's samples, side by side.")] = None,
    teacher: Annotated[str | None, typer.Option(metavar="NAME", help="One teacher's samples only.")] = None,
    strategy: Annotated[str | None, typer.Option(metavar="NAME", help="One strategy's only; (plain) for the template's.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of prompts that are tagged so; may be repeated.")
    ] = None,
    stage: Annotated[
        Literal["draw", "verify", "dedup", "decontaminate", "license", "select"] | None,
        typer.Option(help="Those that this stage rejected."),
    ] = None,
    verifier: Annotated[str | None, typer.Option(metavar="NAME", help="Those that this verifier failed.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Those with it in prompt, response, reasoning or reason.")
    ] = None,
    number: Annotated[
        int | None, typer.Option("-n", min=1, max=1_000, metavar="N", help="How many.", show_default="3; all of a prompt's")
    ] = None,
    reasoning: Annotated[bool, typer.Option("--reasoning", help="Show chains of thought whole.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show samples of a build with their verdicts, one prompt's side by side."""
    from flows.commands.reader import print_samples
    from flows.show import show as look
    from tasks.browse.choose import Filters

    if outcome is None:
        outcome = "any" if prompt or stage or verifier else "kept"
    filters = Filters(
        outcome=None if outcome == "any" else outcome,
        stage=stage,
        prompt=prompt,
        teacher=teacher,
        strategy=strategy,
        tags=dict(map(_tag, tag or ())),
        verifier=verifier,
        search=search,
    )
    found, rows = look(lake_at(lake), dataset, filters, build_id=build_id, number=number or (WHOLE if prompt else SHOWN))
    if as_json:
        print_json({"dataset": dataset, "build_id": found["build_id"], "samples": rows})
        return
    if not rows:
        kind = "such" if outcome == "any" else outcome
        narrowed = "" if filters == Filters(outcome=filters.outcome) else " that pass the filters"
        out.print(Text(f"build {found['build_id']} has no {kind} samples{narrowed}"))
    print_samples(out, rows, reasoning=reasoning)


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise SpecError(f"--tag {text!r}: write it as KEY=VALUE, as in topic=sums")
    return key, value
