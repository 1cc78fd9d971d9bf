"""What the commands' arguments are called, and what they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.spec import Spec
    from storage.lake import Lake

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file (YAML).")]
LakePath = Annotated[
    str,
    typer.Option(
        "--lake", metavar="LAKE", envvar="STILLHOUSE_LAKE", help="The lake's folder, or its URL, as s3://BUCKET/FOLDER."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, and nothing else.")]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="[HOST:]PORT",
        help="Serve metrics for Prometheus while it runs, for 127.0.0.1 where no host is named.",
        show_default="what STILLHOUSE_METRICS says",
    ),
]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset's name.")]
BuildId = Annotated[str | None, typer.Option("--build", metavar="ID", help="A build.", show_default="the newest")]


def loaded_spec(spec: Path) -> Spec:
    """Read a spec."""
    # Imports that take long stand in functions: a command is there at once, and a build's server starts meanwhile.
    from flows.loading import load_spec

    return load_spec(spec)


def lake_at(lake: str) -> Lake:
    """Return the lake of `--lake`."""
    from flows.commands.printing import say
    from storage.lake import Lake

    return Lake.at(lake, say=say)
