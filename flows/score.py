"""Scoring as a Prefect flow: a teacher grades stored responses where a schedule, an automation or a person asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Failed
from pydantic import Field
from rich.console import Console

from flows.build import named
from flows.loading import lake_named, load_spec
from flows.scoring import Asked, Which, graded
from flows.serving import restarts
from storage.errors import Interrupted, UserError
from storage.lake import Lake
from tasks.draw import Spending
from tasks.score.answers import Shown


@flow(name="score", flow_run_name=named("score"), persist_result=False)
async def score(
    spec: str,
    teacher: str,
    lake: str | None = None,
    top: Annotated[int, Field(ge=0, le=10_000)] = 20,
    dataset: Which = "kept",
    reasoning: Shown | None = None,
) -> dict[str, Any] | State[Any]:
    """Have a teacher grade stored responses token by token, and return what its distributions are like.

    A state in place of the result carries the UserError.

    Args:
        spec: The spec's file, as the machine that runs this sees it.
        teacher: Who scores: a teacher of the spec, or a model's folder.
        lake: The lake, as that machine sees it. Left out: STILLHOUSE_LAKE there, else the folder `lake`.
        top: Alternatives to store at each token.
        dataset: The newest build's traces, or every stored sample that the spec asks for.
        reasoning: How reasoning is shown that a sample has apart from its response. Left out: as the spec's exports want it.
    """
    path = Path(spec)
    try:
        await asyncio.to_thread(restarts.check)
        found = await graded(
            load_spec(path),
            path,
            await asyncio.to_thread(Lake.at, lake_named(lake)),
            Console(stderr=True),
            asked=Asked(teacher=teacher, top=top, which=dataset, reasoning=reasoning),
            spending=Spending(),
        )
    except Interrupted as error:
        return Cancelled(message=str(error), data=error)
    except UserError as error:
        return Failed(message=str(error), data=error)
    get_run_logger().info("scored: %s", "; ".join(f"{name}: {value}" for name, value in found.lines()))
    return found.as_dict()
