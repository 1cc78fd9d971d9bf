"""The commands that a spec or this machine is handed to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.text import Text

from flows.commands.arguments import AsJson, LakePath, Metrics, SpecPath, lake_at, loaded_spec
from flows.commands.printing import err, out, plain, print_exported, print_json, print_lines, say, spending_told
from storage.errors import SetupError, SpecError, UserError

_TRIED = 200
"""Prompts that a self-test tries where nobody says how many."""
_REHEARSED = 1_000
"""Likewise a rehearsal."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to.")] = Path(),
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The dataset's name.")] = "starter",
) -> None:
    """Write a spec and a few prompts that run as they are."""
    from flows.commands.starter import typed, write

    spec, prompts = write(folder, dataset)
    out.print(Text(plain(f"wrote {spec} and {prompts}; next: stillhouse plan {typed(spec)}, stillhouse build {typed(spec)}")))


def plan(
    spec: SpecPath,
    lake: LakePath = "lake",
    probe: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="SPENDS: first ask N prompts, so that the estimate has a basis. A build reuses them."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a build would ask for, and what it would cost. Asks nobody, unless --probe is given."""
    from flows.plan import plan as make_plan
    from flows.probe import probe as ask_some

    loaded, at = loaded_spec(spec), lake_at(lake)
    probed = ask_some(loaded, spec, at, err, prompts=probe) if probe else None
    made = asyncio.run(make_plan(loaded, spec, at, say))
    if as_json:
        print_json(made.as_dict() | {"probe": probed.as_dict() if probed else None})
        return
    print_lines([*(probed.lines() if probed else []), *made.lines()])
    for message in made.first:
        out.print(Text(f"\n{message['role']}:", style="bold"))
        out.print(Text(plain(message["content"])))


def build(
    spec: SpecPath,
    lake: LakePath = "lake",
    metrics: Metrics = None,
    approve: Annotated[
        float | None,
        typer.Option(metavar="USD", min=0, help="Approve of a cost up to this, where the spec's approve.over_usd would ask."),
    ] = None,
    runner: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where shards run: local, dask or ray.", show_default="as the spec says")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Get what is missing, verify, curate, land, export. Costs nothing where nothing is missing."""
    from flows.process.launch import starting

    with starting() as launch:
        from flows.checks import check
        from flows.cluster.options import chosen
        from flows.progress import Progress
        from flows.watching.metrics import place

        loaded, at = loaded_spec(spec), lake_at(lake)
        progress = Progress()
        check(loaded.model_copy(update={"runner": chosen(loaded.runner, runner)}), spec, at, watched=launch.watched)
        if metrics is not None:
            place(metrics)
        with spending_told(loaded.dataset, at, progress, as_json=as_json):
            launch.check()
            summary = launch.build(spec, loaded.dataset, lake, err, progress, approve=approve, metrics=metrics, runner=runner)
    if as_json:
        print_json(summary)
        return
    from tasks.report import Summary

    print_lines(Summary.of(summary).lines())
    for each in summary["exports"]:
        print_exported(each)


def verify(
    spec: SpecPath,
    lake: LakePath = "lake",
    again: Annotated[
        bool, typer.Option("--again", help="Judge also what has a verdict, and say where it differs; what is stored stays.")
    ] = False,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Judge nothing that is stored: try the verifiers on the prompts' references.")
    ] = False,
    prompts: Annotated[
        int | None,
        typer.Option("--prompts", min=1, metavar="N", help="With --self-test: how many prompts to try.", show_default="200"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge what is stored by the spec's verifiers, and say what that changes. Asks no teacher."""
    if self_test:
        _self_test(spec, prompts or _TRIED, as_json=as_json)
        return
    if prompts is not None:
        raise SpecError("--prompts says how many prompts a self-test tries: add --self-test")
    from flows.verify import verify as judge

    found = judge(loaded_spec(spec), spec, lake_at(lake), err, again=again)
    if as_json:
        print_json(found.as_dict())
        return
    print_lines(found.lines())
    for each in found.changes:
        by = f" · {each.strategy}" if each.strategy else ""
        where = f"{each.prompt_id} · {each.teacher}{by} · sample {each.sample_index}"
        out.print(Text(plain(f"{each.before} to {each.after}: {each.verifier} on {where}"), style="cyan"))
        out.print(Text(plain(f"  before: {each.reason_before or each.before}\n  now: {each.reason or each.after}")))
    if found.build_id and any(each.changed for each in found.verifiers):
        out.print(Text(f"`stillhouse build {spec}` lands what this changes"))


def score(
    spec: SpecPath,
    teacher: Annotated[str, typer.Option(metavar="NAME", help="Who scores: a teacher of the spec, or a model's folder.")],
    lake: LakePath = "lake",
    top: Annotated[int, typer.Option(min=0, max=10_000, metavar="N", help="Alternatives to store at each token.")] = 20,
    dataset: Annotated[
        Literal["kept", "all"], typer.Option(help="The newest build's traces, or every stored sample that the spec asks for.")
    ] = "kept",
    reasoning: Annotated[
        Literal["think", "turn", "omit"] | None,
        typer.Option(help="How it is shown reasoning that stands apart.", show_default="as the spec's exports of its scores"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a teacher grade stored responses, its own or another's, token by token. What it has graded costs nothing."""
    from flows.scoring import Asked
    from flows.scoring import score as grade
    from tasks.draw import Spending
    from tasks.report import lost

    loaded, at, spending = loaded_spec(spec), lake_at(lake), Spending()
    try:
        asked = Asked(teacher=teacher, top=top, which=dataset, reasoning=reasoning)
        found = grade(loaded, spec, at, err, asked=asked, spending=spending)
    except UserError as error:
        bought = spending.totals()
        if spending.paid:
            say(f"this run bought {spending.paid:,} scores for ${spending.cost_usd:,.4f}, which are landed")
        if spending.unanswered:
            say(lost(spending.unanswered, spending.given_up, spending.unanswered_usd))
        if as_json:
            ended = {"dataset": loaded.dataset, "error": str(error), "exit": error.exit_code, "lake": at.where}
            print_json(ended | {"scored": bought["paid"], "cost_usd": bought["cost_usd"], "tokens_in": bought["tokens_in"]})
        raise
    if as_json:
        print_json(found.as_dict())
    else:
        print_lines(found.lines())


def _self_test(spec: Path, prompts: int, *, as_json: bool) -> None:
    from flows.self_test import test

    tested = test(loaded_spec(spec), spec, prompts=prompts)
    if as_json:
        print_json(tested.as_dict())
    else:
        print_lines(tested.lines())
        for each in tested.faults:
            out.print(Text(plain(f"{each.verifier} {each.fault}: prompt {each.prompt_id}"), style="cyan"))
            out.print(Text(plain(f"  response: {each.response[:200]!r}\n  verdict: {each.reason or 'passed'}")))
    if not tested.sound:
        raise SpecError("the verifiers are not sound: what they pass or fail wrongly is above; mend them, or the prompts")


def serve(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC", help="Spec files (YAML); one process serves them all.")],
    lake: LakePath = "lake",
    cron: Annotated[list[str] | None, typer.Option(metavar="CRON", help='When, as in "0 2 * * *"; may be repeated.')] = None,
    interval: Annotated[str | None, typer.Option(metavar="TIME", help="How often, as in 6h or 30m.")] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="In which --cron is meant, as in Europe/Berlin.")] = "UTC",
    beside: Annotated[
        str | None,
        typer.Option("--with", metavar="NAMES", help="What else to serve for runs on demand: export, evaluate, score, distill."),
    ] = None,
) -> None:
    """Register scheduled builds with a Prefect server (PREFECT_API_URL) and carry them out until stopped.

    Without --cron and --interval, a build runs where a person or an automation starts it.
    """
    from flows.checks import check
    from flows.process.server import Server
    from flows.serving import serve as serving

    at = lake_at(lake)
    loaded = serving.distinct([(loaded_spec(path), path) for path in specs])
    for spec, path in loaded:
        check(spec, path, at, watched=True)
    when = serving.When.of(cron=cron or [], interval=interval, timezone=timezone)
    others = serving.named(beside)
    server = Server()
    if server.temporary:
        raise SetupError("serve needs a Prefect server: start one with `prefect server start`, and set PREFECT_API_URL to it")
    with at.alone():  # nothing is done: a lake that can't be written is known before a build needs it
        pass
    serving.prepare()
    with server:
        server.wait()
        made = serving.deployments(loaded, at.where, when, others)
        for each in made:
            say(f"serving {each.full_name} {when if each.flow_name == 'build' else 'where it is asked for'}")
        say("Ctrl-C ends it")
        serving.serve(made, say)


def doctor(
    context: typer.Context,
    lake: LakePath = "lake",
    repair: Annotated[bool, typer.Option("--repair", help="Mend the lake; what is damaged goes into its quarantine.")] = False,
    load: Annotated[
        Path | None,
        typer.Option("--load", metavar="SPEC", help="Rehearse a spec's draw on simulated teachers; costs nothing."),
    ] = None,
    prompts: Annotated[
        int | None,
        typer.Option("--prompts", min=1, metavar="N", help="With --load: how many prompts to ask.", show_default="1,000"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether this machine has what stillhouse needs, and whether the lake is whole."""
    from flows.doctor import examine, mend

    if load is not None:
        from flows.rehearse import rehearse

        rehearsed = rehearse(loaded_spec(load), load, err, prompts=prompts or _REHEARSED)
        if as_json:
            print_json(rehearsed.as_dict())
        else:
            print_lines(rehearsed.lines())
        return
    if prompts is not None:
        raise SpecError("--prompts says how many prompts a rehearsal asks: add --load SPEC")

    at = lake_at(lake)
    source = context.get_parameter_source("lake")
    checks, done = mend(at) if repair else (examine(at, named=source is not None and source.name != "DEFAULT"), None)
    found = {}
    for check in checks:
        found[check.name] = {"state": check.state, "detail": check.detail}
        if not as_json:
            style = {"ok": "green", "mended": "green", "note": "yellow", "missing": "red", "damaged": "red"}[check.state]
            out.print(f"[{style}]{check.state:8}[/] [bold]{escape(check.name)}[/]: {escape(plain(check.detail))}")
    if as_json:
        print_json(found if done is None else done)
    if any(check["state"] in {"missing", "damaged"} for check in found.values()):
        raise typer.Exit(SetupError.exit_code)
