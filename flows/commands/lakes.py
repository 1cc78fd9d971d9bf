"""The commands that look at what a lake holds, and export it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.arguments import AsJson, BuildId, Dataset, LakePath, lake_at, loaded_spec
from flows.commands.printing import out, plain, print_exported, print_json, print_lines, print_table, say
from storage.errors import SpecError
from storage.wording import counted

_BOUGHT = {"teacher": "sample", "judge": "verdict", "in vain": "request", "unanswered": "request"}
"""What is counted, by the kind of what was spent."""


def status(
    dataset: Annotated[str | None, typer.Argument(metavar="DATASET", help="One dataset only.")] = None,
    lake: LakePath = "lake",
    as_json: AsJson = False,
) -> None:
    """List the builds of a lake."""
    from flows.show import status as look

    at = lake_at(lake)
    found = look(at, dataset)
    if at.replica is not None and at.replica.waiting:
        say("responses that a build has bought and not landed yet, one that runs or was killed, don't count here")
    if as_json:
        print_json(found)
        return
    waiting = f", {found['journal']:,} in the journal" if found["journal"] else ""
    out.print(
        Text(f"{plain(found['lake'])}: {counted(found['samples'], 'sample')}, {counted(found['verdicts'], 'verdict')}{waiting}")
    )
    for each in found["batches"]:
        sent = f"{datetime.fromtimestamp(each['created_at'], UTC):%Y-%m-%d %H:%M} UTC"
        name = each["batch_id"] or f"with key {each['key']}, which may have been sent"
        out.print(
            Text(plain(f"batch {name}: teacher {each['teacher']}, {sent}, {counted(each['to_fetch'], 'request')} to fetch"))
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("dataset", "build", "requested", "kept", "rejected", "failed", "paid", "cost"):
        table.add_column(name, justify="left" if name in {"dataset", "build"} else "right", no_wrap=True)
    for each in found["builds"]:
        numbers = [each["requested"], each["kept"], sum(each["rejected"].values()), each["failed"], each["paid"]]
        table.add_row(each["dataset"], each["build_id"], *(f"{number:,}" for number in numbers), f"${each['cost_usd']:,.4f}")
    if found["builds"]:
        print_table(table)
    else:
        out.print("no builds yet" if at.root.exists() else "no lake is there yet")
    for each in found["spend"]:
        what, bought = (f"{each['name']} ({each['model']})" if each["model"] else each["name"]), _BOUGHT[each["kind"]]
        tokens = "" if each["tokens_in"] is None else f", {counted(each['tokens_in'], 'token')} in, {each['tokens_out']:,} out"
        out.print(Text(plain(f"{each['kind']} {what}: {counted(each['number'], bought)}, ${each['cost_usd']:,.4f}{tokens}")))


def report(
    dataset: Dataset,
    lake: LakePath = "lake",
    build_id: BuildId = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page of it too, with samples to read."),
    ] = None,
    traces: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With --html: how many samples are in it at most.", show_default="10,000"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a build is made of: outcomes, pass rates, licences, lengths, diversity, style."""
    from flows.looking import looking
    from flows.report import measured

    if traces is not None and html is None:
        raise SpecError("--traces says how many samples a page has: name its file by --html FILE")
    at = lake_at(lake)
    with looking(at, dataset, build_id) as (workspace, build):
        found = measured(workspace, at, build)
        page = None
        if html is not None:
            from flows.page.write import SAMPLES, page_of

            page = page_of(workspace, at, build, found, html, samples=traces or SAMPLES)
    if as_json:
        print_json(found.as_dict() | ({"page": asdict(page)} if page else {}))
        return
    print_lines(found.lines())
    if page:
        say(f"page {plain(page.line())}")


def diff(
    dataset: Dataset,
    before: Annotated[str | None, typer.Option("--from", metavar="ID", help="A build.", show_default="the one before")] = None,
    after: Annotated[str | None, typer.Option("--to", metavar="ID", help="A build.", show_default="the newest")] = None,
    lake: LakePath = "lake",
    as_json: AsJson = False,
) -> None:
    """Say what changed from one build of a dataset to another, and why."""
    from flows.diff import SHOWN
    from flows.diff import diff as compare

    found = compare(lake_at(lake), dataset, before=before, after=after)
    if as_json:
        print_json(found.as_dict())
        return
    print_lines(found.lines())
    for change in ("added", "dropped", "changed", "moved"):
        moves = [move for move in found.moves if move.change == change]
        for move in moves[:SHOWN]:
            out.print(Text(plain(f"{change} {move.slots:,}: {move.before} → {move.after}"), style="cyan"))
            for each in move.examples:
                why = each.after or each.before
                by = f" · {each.strategy}" if each.strategy else ""
                shown = f"  {each.prompt_id} · {each.teacher}{by} · sample {each.sample_index}" + (f": {why}" if why else "")
                out.print(Text(plain(shown)[:500]))
        if len(moves) > SHOWN:
            left = sum(move.slots for move in moves[SHOWN:])
            out.print(f"{change} {left:,} more, of {counted(len(moves) - SHOWN, 'other kind')}; --json has them all")


def export(
    dataset: Dataset,
    to: Annotated[
        str,
        typer.Option(metavar="FOLDER", help="A folder, a URL such as s3://BUCKET/FOLDER, or hf://datasets/NAME/NAME."),
    ],
    lake: LakePath = "lake",
    build_id: BuildId = None,
    form: Annotated[str, typer.Option("--format", metavar="NAME", help="The rows' form, or a plug-in's name.")] = "messages",
    file: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help="What a shard is: parquet, jsonl, arrow or tar.", show_default="the form's, mostly parquet"
        ),
    ] = None,
    shards: Annotated[int | None, typer.Option(min=1, max=99_999, metavar="N", help="How many files.", show_default="1")] = None,
    shard_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="In place of --shards: about how large a file is, as in 500MB.")
    ] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle/--no-shuffle", help="Rows in a random order, by the spec's seed.")] = False,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="One of the form's own options; may be repeated.")
    ] = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(metavar="ENTRY", help="An entry of `mix`, as '{source: human.jsonl, share: 0.2, license: MIT}'; repeated."),
    ] = None,
    erase_system: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Leave out the template's system and strategy texts; TEXT in their place, or `true`."),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            "--spec",
            metavar="SPEC",
            help="Its `licenses` hold, and its teachers score.",
            show_default="those of the build's spec",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a build's traces as training shards, with card, NOTICE, and a manifest of counts and checksums.

    The licence gate looks again.
    """
    from flows.exporting import by_flags, export_dataset, options_of

    flags = {"format": form, "to": to, "file": file, "shards": shards, "shard_bytes": shard_bytes, "shuffle": shuffle}
    flags["erase_system"] = {"true": True, "false": False}.get(erase_system or "", erase_system)
    options = options_of(flags, option or [], mix=mix or [])
    at, other = lake_at(lake), loaded_spec(spec) if spec else None
    with by_flags():
        manifest = export_dataset(at, dataset, options, say, build_id=build_id, spec=other)
    if as_json:
        print_json(manifest)
    else:
        print_exported(manifest)


def contaminated(
    dataset: Dataset,
    against: Annotated[
        list[str],
        typer.Option(
            metavar="SOURCE",
            help="A held-out benchmark: a file, or an entry of `decontaminate` such as '{source: t.jsonl, fields: {prompt: q}}'. "
            "Give it several times for several.",
        ),
    ],
    lake: LakePath = "lake",
    build_id: BuildId = None,
    number: Annotated[int, typer.Option("-n", min=0, metavar="N", help="How many overlaps to show; --json has all.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say which items of held-out benchmarks stand in a build. Drops nothing."""
    from flows.contaminated import benchmark_of
    from flows.contaminated import contaminated as look

    found = look(lake_at(lake), dataset, [benchmark_of(each) for each in against], build_id=build_id)
    if as_json:
        print_json(found.as_dict())
        return
    print_lines(found.lines())
    for each in found.hits[:number]:
        whose = f"prompt {each.prompt_id}" + (f", sample {each.sample_id}" if each.sample_id else "")
        out.print(Text(plain(f"{each.benchmark}, item {each.item} · {whose}: {each.how} in the {each.where}"), style="cyan"))
        out.print(Text(plain(f"  {each.overlap}")))
    if len(found.hits) > number:
        out.print(Text(f"… and {len(found.hits) - number:,} more; -n shows more of them, --json all"))
