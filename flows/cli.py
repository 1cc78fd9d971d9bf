"""The command line. Results go to stdout, progress and logs to stderr; `--json` makes stdout one JSON object."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.printing import err, out, plain, print_json, print_lines, results_alone, say
from storage.errors import Interrupted, SetupError, SpecError, UserError
from storage.memory import YOUNG
from tasks.distillation.recipe import Recipe

if TYPE_CHECKING:
    from flows.spec import Spec
    from storage.lake import Lake

app = typer.Typer(
    name="stillhouse",
    help="Turns prompts into verified, licence-tagged teacher traces, and traces into training shards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
RECIPE = Recipe()
"""The defaults of `distill`."""
SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file (YAML).")]
LakePath = Annotated[str, typer.Option("--lake", envvar="STILLHOUSE_LAKE", help="The lake's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, and nothing else.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset's name.")]
BuildId = Annotated[str | None, typer.Option("--build", metavar="ID", help="A build. [default: the newest]")]


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    signal.signal(signal.SIGINT, _interrupted)
    gc.set_threshold(YOUNG)  # of what imports make, nothing is garbage
    logging.basicConfig(level="WARNING", format="%(message)s", handlers=[RichHandler(console=err, show_path=False)])
    try:
        with results_alone() if "--json" in sys.argv else contextlib.nullcontext():
            code = app(standalone_mode=False)
        if code == Interrupted.exit_code:  # what typer makes of a KeyboardInterrupt
            err.print("interrupted")
        sys.exit(code if isinstance(code, int) else 0)
    except UserError as error:
        err.print(Text(f"error: {plain(str(error))}", style="red" if err.is_terminal else ""), soft_wrap=True)
        sys.exit(error.exit_code)
    except typer.TyperException as error:
        err.print(Text(f"error: {plain(error.format_message())} See `{_command(error)} --help`."), soft_wrap=True)
        sys.exit(SpecError.exit_code)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        err.print("interrupted")
        sys.exit(Interrupted.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader is gone; the last flush must not fail
        sys.exit(0)
    finally:
        gc.freeze()  # all of it goes with the process: to look through it for cycles first would take half a second


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to.")] = Path(),
    dataset: Annotated[str, typer.Option(help="The dataset's name.")] = "starter",
) -> None:
    """Write a spec and a few prompts that run as they are."""
    from flows.starter import write

    spec, prompts = write(folder, dataset)
    out.print(f"wrote {spec} and {prompts}; next: stillhouse plan {spec}, stillhouse build {spec}")


@app.command()
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

    loaded, at = _loaded(spec), _at(lake)
    probed = ask_some(loaded, spec, at, err, prompts=probe) if probe else None
    made = asyncio.run(make_plan(loaded, spec, at, say))
    if as_json:
        print_json(made.as_dict() | {"probe": probed.as_dict() if probed else None})
        return
    print_lines([*(probed.lines() if probed else []), *made.lines()])
    for message in made.first:
        out.print(Text(f"\n{message['role']}:", style="bold"))
        out.print(Text(plain(message["content"])))


@app.command()
def build(spec: SpecPath, lake: LakePath = "lake", as_json: AsJson = False) -> None:
    """Get what is missing, verify, curate, land, export. Costs nothing where nothing is missing."""
    from flows.launch import starting

    with starting() as launch:
        from flows.run import Progress, check

        loaded, at = _loaded(spec), _at(lake)
        progress = Progress()
        check(loaded, spec, at)
        try:
            launch.check()
            summary = launch.build(spec, loaded.dataset, lake, err, progress)
        except UserError as error:
            say(progress.spending.line())
            if as_json:
                ended = {"dataset": loaded.dataset, "error": str(error), "exit": error.exit_code, "lake": str(at.root)}
                print_json(ended | progress.spending.totals())
            raise
    if as_json:
        print_json(summary)
        return
    from tasks.report import Summary

    print_lines(Summary.of(summary).lines())
    for each in summary["exports"]:
        out.print(f"exported {each['rows']:,} rows in {len(each['shards'])} shards to {plain(each['destination'])}")


@app.command()
def status(
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="One dataset only.")] = None,
    lake: LakePath = "lake",
    as_json: AsJson = False,
) -> None:
    """List the builds of a lake."""
    from flows.show import status as look

    found = look(_at(lake), dataset)
    if as_json:
        print_json(found)
        return
    waiting = f", {found['journal']:,} in the journal" if found["journal"] else ""
    out.print(f"{plain(found['lake'])}: {found['samples']:,} samples, {found['verdicts']:,} verdicts{waiting}")
    for each in found["batches"]:
        sent = f"{datetime.fromtimestamp(each['created_at'], UTC):%Y-%m-%d %H:%M} UTC"
        name = each["batch_id"] or f"with key {each['key']}, which may have been sent"
        out.print(plain(f"batch {name}: teacher {each['teacher']}, {sent}, {each['to_fetch']:,} requests to fetch"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("dataset", "build", "requested", "kept", "rejected", "failed", "paid", "cost"):
        table.add_column(name, justify="left" if name in {"dataset", "build"} else "right", no_wrap=True)
    for each in found["builds"]:
        numbers = [each["requested"], each["kept"], sum(each["rejected"].values()), each["failed"], each["paid"]]
        table.add_row(each["dataset"], each["build_id"], *(f"{number:,}" for number in numbers), f"${each['cost_usd']:,.4f}")
    if found["builds"]:
        out.print(table)
    else:
        out.print("no builds yet")
    for each in found["spend"]:
        what, bought = (f"{each['name']} ({each['model']})", "samples") if each["model"] else (each["name"], "verdicts")
        tokens = "" if each["tokens_in"] is None else f", {each['tokens_in']:,} tokens in, {each['tokens_out']:,} out"
        out.print(Text(plain(f"{each['kind']} {what}: {each['number']:,} {bought}, ${each['cost_usd']:,.4f}{tokens}")))


@app.command()
def show(
    dataset: Dataset,
    lake: LakePath = "lake",
    build_id: BuildId = None,
    outcome: Annotated[Literal["kept", "rejected", "failed"], typer.Option(help="Which samples.")] = "kept",
    prompt: Annotated[str | None, typer.Option(metavar="ID", help="One prompt's samples only.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, max=1_000, help="How many.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Show samples of a build with their verdicts."""
    from flows.show import show as look

    found, rows = look(_at(lake), dataset, build_id=build_id, kind=outcome, prompt_id=prompt, number=number)
    if as_json:
        print_json({"dataset": dataset, "build_id": found["build_id"], "samples": rows})
        return
    if not rows:
        out.print(f"build {found['build_id']} has no {outcome} samples")
    for row in rows:
        ended = "kept" if outcome == "kept" else f"{outcome} at {row['stage']}: {row['reason']}"
        cost = f" · ${row['cost_usd']:,.6f}" if row["cost_usd"] else ""
        heading = f"── {row['prompt_id']} · {row['teacher']} · sample {row['sample_index']}{cost} ──"
        out.print(Text(plain(heading), style="cyan"))
        out.print(Text(f"{plain(row['prompt'])}\n", style="bold"))
        if row["reasoning"]:
            out.print(Text(f"{plain(row['reasoning'])}\n", style="dim"))
        if row["response"] is not None:
            out.print(Text(plain(row["response"]) + "\n"))
        for verdict in (each for each in row["verdicts"] or () if each["passed"] is not None or outcome == "rejected"):
            mark = {True: "passed", False: "failed", None: "undecided"}[verdict["passed"]]
            out.print(
                Text(
                    f"{verdict['verifier']}: {mark}. {plain(verdict['reason'])}".rstrip(". ") + ".",
                    style="green" if verdict["passed"] else "yellow",
                )
            )
        out.print(Text(plain(ended), style="bold"))


@app.command()
def verify(
    spec: SpecPath,
    lake: LakePath = "lake",
    again: Annotated[
        bool, typer.Option("--again", help="Judge also what has a verdict, and say where it differs; what is stored stays.")
    ] = False,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Judge nothing that is stored: try the verifiers on the prompts' references.")
    ] = False,
    prompts: Annotated[int, typer.Option("--prompts", min=1, help="With --self-test: how many prompts to try.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Judge what is stored by the spec's verifiers, and say what that changes. Asks no teacher."""
    if self_test:
        _self_test(spec, prompts, as_json=as_json)
        return
    from flows.verify import verify as judge

    found = judge(_loaded(spec), spec, _at(lake), err, again=again)
    if as_json:
        print_json(found.as_dict())
        return
    print_lines(found.lines())
    for each in found.changes:
        where = f"{each.prompt_id} · {each.teacher} · sample {each.sample_index}"
        out.print(Text(plain(f"{each.before} to {each.after}: {each.verifier} on {where}"), style="cyan"))
        out.print(Text(plain(f"  before: {each.reason_before or each.before}\n  now: {each.reason or each.after}")))
    if found.build_id and any(each.changed for each in found.verifiers):
        out.print(Text(f"`stillhouse build {spec}` lands what this changes"))


def _self_test(spec: Path, prompts: int, *, as_json: bool) -> None:
    from flows.self_test import test

    tested = test(_loaded(spec), spec, prompts=prompts)
    if as_json:
        print_json(tested.as_dict())
    else:
        print_lines(tested.lines())
        for each in tested.faults:
            out.print(Text(plain(f"{each.verifier} {each.fault}: prompt {each.prompt_id}"), style="cyan"))
            out.print(Text(plain(f"  response: {each.response[:200]!r}\n  verdict: {each.reason or 'passed'}")))
    if not tested.sound:
        raise SpecError("the verifiers are not sound: what they pass or fail wrongly is above; mend them, or the prompts")


@app.command()
def export(
    dataset: Dataset,
    to: Annotated[
        str,
        typer.Option(help="A folder, a URL such as s3://BUCKET/FOLDER, or hf://datasets/NAME/NAME."),
    ],
    lake: LakePath = "lake",
    build_id: BuildId = None,
    form: Annotated[str, typer.Option("--format", help="The rows' form, or a plug-in's name.")] = "messages",
    file: Annotated[
        str | None, typer.Option(help="What a shard is: parquet, jsonl, arrow or tar. [default: the form's, mostly parquet]")
    ] = None,
    shards: Annotated[int | None, typer.Option(min=1, max=99_999, help="How many files. [default: 1]")] = None,
    shard_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="In place of --shards: about how large a file is, as in 500MB.")
    ] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle/--no-shuffle", help="Rows in a random order, by the spec's seed.")] = False,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="One of the form's own options; may be repeated.")
    ] = None,
    spec: Annotated[
        Path | None, typer.Option("--spec", metavar="SPEC", help="Its `licenses` hold. [default: those of the build's spec]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a build's traces as training shards, with card, NOTICE, and a manifest of counts and checksums.

    The licence gate looks again.
    """
    from flows.exporting import options_of
    from flows.run import check_export, export_build
    from storage import catalog
    from tasks.export import check_exports

    at = _at(lake)
    options = options_of(
        {"format": form, "to": to, "file": file, "shards": shards, "shard_bytes": shard_bytes, "shuffle": shuffle}, option or []
    )
    check_exports([options], at.root, where="exports")
    landed = at.build(dataset, build_id)
    check_export(at, landed, _loaded(spec).licenses if spec else None)
    with at.writing(say):
        manifest = export_build(at, landed, options)
        catalog.write(at)
    if as_json:
        print_json(manifest)
    else:
        out.print(f"exported {manifest['rows']:,} rows in {len(manifest['shards'])} shards to {plain(manifest['destination'])}")


@app.command()
def distill(
    shards: Annotated[Path, typer.Argument(metavar="SHARDS", help="A folder that `format: tokenized` wrote, or one file of it.")],
    student: Annotated[str, typer.Option(help="A model's folder, or an id of the Hub.")],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the trained student goes.")],
    epochs: Annotated[int, typer.Option(help="How often everything is read at most.")] = RECIPE.epochs,
    lr: Annotated[float, typer.Option(help="The highest learning rate.")] = RECIPE.lr,
    warmup: Annotated[float, typer.Option(help="The part of all steps in which it rises to that.")] = RECIPE.warmup,
    alpha: Annotated[float, typer.Option(help="The weight of hard labels beside soft ones, 0 to 1.")] = RECIPE.alpha,
    temperature: Annotated[float, typer.Option(help="By which soft labels are softened.")] = RECIPE.temperature,
    tokens_per_batch: Annotated[int, typer.Option(help="Of a forward pass at most.")] = RECIPE.tokens_per_batch,
    accumulate: Annotated[int, typer.Option(help="Batches of a step.")] = RECIPE.accumulate,
    weight_decay: Annotated[float, typer.Option(help="AdamW's.")] = RECIPE.weight_decay,
    clip: Annotated[float, typer.Option(help="The largest norm of a gradient; 0: none.")] = RECIPE.clip,
    seed: Annotated[int, typer.Option(help="Of the order.")] = RECIPE.seed,
    evaluate_every: Annotated[
        int, typer.Option(metavar="STEPS", help="Between looks at the held-out loss; 0: a fourth of an epoch.")
    ] = RECIPE.evaluate_every,
    patience: Annotated[int, typer.Option(help="Looks without a better loss that end it; 0: none do.")] = RECIPE.patience,
    checkpoint_every: Annotated[int, typer.Option(metavar="STEPS", help="Between checkpoints.")] = RECIPE.checkpoint_every,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Spare memory, for a third more time.")
    ] = RECIPE.gradient_checkpointing,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a student on shards of tokens, with the teacher's distributions where they have them. Run again, it goes on."""
    from flows.distilling import launch, lines

    recipe = Recipe(
        epochs=epochs,
        lr=lr,
        warmup=warmup,
        alpha=alpha,
        temperature=temperature,
        tokens_per_batch=tokens_per_batch,
        accumulate=accumulate,
        weight_decay=weight_decay,
        clip=clip,
        seed=seed,
        evaluate_every=evaluate_every,
        patience=patience,
        checkpoint_every=checkpoint_every,
        gradient_checkpointing=gradient_checkpointing,
    )
    found = launch(shards, student, to, recipe, device, err)
    if as_json:
        print_json(found)
    else:
        print_lines(lines(found))


@app.command()
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
    number: Annotated[int, typer.Option("-n", min=0, help="How many overlaps to show; --json has all.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say which items of held-out benchmarks stand in a build. Drops nothing."""
    from flows.contaminated import benchmark_of
    from flows.contaminated import contaminated as look

    found = look(_at(lake), dataset, [benchmark_of(each) for each in against], build_id=build_id)
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


@app.command()
def serve(
    spec: SpecPath,
    cron: Annotated[str, typer.Option(help='When, as in "0 2 * * *".')],
    lake: LakePath = "lake",
) -> None:
    """Register a scheduled build with a Prefect server (PREFECT_API_URL) and carry it out until stopped."""
    from flows.run import check
    from flows.serve import serve as serve_forever
    from flows.server import Server

    loaded, at = _loaded(spec), _at(lake)
    check(loaded, spec, at)
    server = Server()
    if server.temporary:
        raise SetupError("serve needs a Prefect server: start one with `prefect server start`, and set PREFECT_API_URL to it")
    with server:
        try:
            from prefect.client.schemas.schedules import CronSchedule

            CronSchedule(cron=cron)
        except ValueError as error:
            raise SpecError(f"--cron: {cron!r} is no cron expression; five fields, as in '0 2 * * *'") from error
        say(f"serving build/{loaded.dataset} at {cron!r}; Ctrl-C ends it")
        serve_forever(loaded, spec, at.root, cron=cron)


@app.command()
def doctor(
    lake: LakePath = "lake",
    repair: Annotated[bool, typer.Option("--repair", help="Mend the lake; what is damaged goes into its quarantine.")] = False,
    load: Annotated[
        Path | None,
        typer.Option("--load", metavar="SPEC", help="Rehearse a spec's draw on simulated teachers; costs nothing."),
    ] = None,
    prompts: Annotated[int, typer.Option("--prompts", min=1, help="With --load: how many prompts to ask.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Say whether this machine has what stillhouse needs, and whether the lake is whole."""
    from flows.doctor import examine, mend

    if load is not None:
        from flows.rehearse import rehearse

        rehearsed = rehearse(_loaded(load), load, err, prompts=prompts)
        if as_json:
            print_json(rehearsed.as_dict())
        else:
            print_lines(rehearsed.lines())
        return

    at = _at(lake)
    checks, done = mend(at) if repair else (examine(at), None)
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


def _loaded(spec: Path) -> Spec:
    # Imports that take long stand in functions: a command is there at once, and a build's server starts meanwhile.
    from flows.loading import load_spec

    return load_spec(spec)


def _at(lake: str) -> Lake:
    from storage.lake import Lake

    return Lake.at(lake)


def _interrupted(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module calls it so
    # Python's own handler would be replaced by asyncio's, which waits for whatever blocks the loop.
    raise KeyboardInterrupt


def _command(error: Any) -> str:
    return str(error.ctx.command_path) if error.ctx is not None else "stillhouse"


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
