"""Approval: what a person has to say in Prefect's UI before anything is spent.

The flow run pauses with a form, before the lake's lock is taken: others may build meanwhile. What is said of terms becomes an
acknowledgement as it would stand in the spec; what is said of cost stands in the build's manifest.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for
from pydantic import Field, ValidationError

from flows import rights
from flows.plan import Plan
from flows.plan import plan as make_plan
from flows.process import context
from flows.progress import Say
from flows.spec import Spec
from flows.watching import events
from flows.watching.board import artifact_key
from flows.watching.options import ApproveOptions
from flows.working import signals
from storage.errors import CostRefused, Interrupted, LicenseRefused, UserError
from storage.lake import Lake
from tasks.rights.bound import Acknowledgement
from tasks.rights.terms import Agreement, load
from tasks.stop import Stop

POLL_S = 3
"""Between two looks at whether somebody has answered."""
LONGER_S = 3_600
"""By so much Prefect would wait longer than we do: the server fails a run whose pause is over, with a line that isn't ours."""


class Decision(RunInput):
    """The form on cost."""

    approved: bool = Field(default=False, title="Approved", description="Whether the build may go on. Off: it is refused.")
    who: str = Field(default="", title="Who", description="Who answers for it.", max_length=500)
    why: str = Field(default="", title="Why", description="Why it is in order; or why it is refused.", max_length=500)


class TermsDecision(Decision):
    """The form on a teacher's terms."""

    agreement: str = Field(
        default="", title="Agreement", max_length=500, description="What it rests on: a contract, a permission, a clause."
    )


async def approved(spec: Spec, path: Path, lake: Lake, watch: context.Watch, say: Say) -> tuple[Spec, list[dict[str, Any]]]:
    """Return the spec with what was acknowledged of terms, and what was approved, for the manifest.

    Raise LicenseRefused or CostRefused where somebody refuses, nobody answers in time, or nobody can be asked.
    """
    options = spec.approve
    if options is None:
        return spec, []
    stop, found = Stop(), []
    with signals(stop, say, watch.pending, watch.leave):
        asking = _Asking(spec.dataset, options, say, stop)
        if options.unacknowledged_license and watch.show:
            for teacher, agreement in refused(spec, path):
                given = await asking.terms(teacher, agreement)
                spec = _acknowledging(spec, given)
                found.append({"what": f"terms {agreement.id} of {teacher}"} | _noted(given.who, given.why))
        if options.over_usd is not None:
            cost = await _cost(spec, path, lake, say, stop)
            if cost is None or cost > options.over_usd:
                found.append({"what": "cost", "estimate_usd": cost} | await _agreed(asking, cost, options, watch))
    return spec, found


def refused(spec: Spec, path: Path) -> Iterator[tuple[str, Agreement]]:
    """Yield a spec's terms that restrict training and that nobody has acknowledged, each once, with a teacher that they bind."""
    terms = load(spec.licenses.terms)
    bounds = rights.bounds(spec, path, terms)
    bounds += [*rights.grower_bounds(spec, path, terms).values(), *rights.scorer_bounds(spec, path, terms)]
    seen = set()
    for bound in bounds:
        for agreement in bound.refused:
            if agreement.id not in seen:
                seen.add(agreement.id)
                yield bound.teacher, agreement


def _acknowledging(spec: Spec, given: Acknowledgement) -> Spec:
    licenses = spec.licenses.model_copy(update={"acknowledge": (*spec.licenses.acknowledge, given)})
    return spec.model_copy(update={"licenses": licenses})


def _noted(who: str, why: str) -> dict[str, Any]:
    return {"who": who, "why": why, "at": datetime.now(UTC).isoformat(timespec="seconds")}


async def _cost(spec: Spec, path: Path, lake: Lake, say: Say, stop: Stop) -> float | None:
    """Return what a build may cost, in USD: what the plan expects where that has a basis, else the most; None: nobody knows."""

    def read() -> Plan:
        return asyncio.run(make_plan(spec, path, lake, say, stop))

    planning, stopping = asyncio.create_task(asyncio.to_thread(read)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({planning, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stop.check()
        made = await planning
    finally:
        stopping.cancel()
    return made.cost_usd if made.known else made.most_usd


async def _agreed(asking: _Asking, cost: float | None, options: ApproveOptions, watch: context.Watch) -> dict[str, Any]:
    """Return who approved of a cost: the command line beforehand, or a person now. Raise CostRefused where nobody does."""
    said = "nobody knows what it may cost" if cost is None else f"it may cost ${cost:,.4f}"
    over = f"{said}, and approve.over_usd is ${options.over_usd:,.10g}"
    if watch.approve is not None and cost is not None and cost <= watch.approve:
        return _noted("whoever ran the command", f"--approve {watch.approve:g}")
    if not watch.show:
        bounded = "every teacher needs a price, and sampling a max_tokens"
        how = bounded if cost is None else f"--approve {math.ceil(cost * 100) / 100:.2f} approves it"
        raise CostRefused(
            f"{asking.dataset}: {over}: {how}, or run it with a Prefect server (PREFECT_API_URL), where a person is asked"
        )
    return await asking.cost(cost, over)


class _Asking:
    """Asks persons about one build, one question after the other."""

    def __init__(self, dataset: str, options: ApproveOptions, say: Say, stop: Stop) -> None:
        self.dataset = dataset
        self._options = options
        self._say = say
        self._stop = stop

    async def terms(self, teacher: str, agreement: Agreement) -> Acknowledgement:
        """Return somebody's acknowledgement. Raise LicenseRefused where there is none."""
        about = f"teacher {teacher!r} is under {agreement.name} ({agreement.id}), which restricts training other models"
        form = f"**{self.dataset}**: {about}: {agreement.clause} See {agreement.url or 'its text'}. Who answers for it, why, and "
        form += "by which agreement? It will stand in every trace, the card and NOTICE."
        number = 0
        while True:
            number += 1
            given = await self._ask(TermsDecision, f"terms {agreement.id} {number}", form, about, LicenseRefused)
            try:
                return Acknowledgement(terms=agreement.id, who=given.who, why=given.why, agreement=given.agreement)
            except ValidationError:
                self._say(f"{about}: who, why and agreement must all be given; asking again")

    async def cost(self, cost: float | None, about: str) -> dict[str, Any]:
        """Return who approved of it and why. Raise CostRefused where nobody does."""
        number = 0
        while True:
            number += 1
            form = f"**{self.dataset}**: {about}. May it be built?"
            given = await self._ask(Decision, f"cost {cost or 0:.2f} {number}", form, about, CostRefused)
            if given.who.strip():
                return _noted(given.who.strip(), given.why.strip())
            self._say(f"{about}: who approves must be given; asking again")

    async def _ask(self, form: type[Decision], key: str, text: str, about: str, refusal: type[UserError]) -> Any:
        """Pause the flow run until somebody fills the form in. Raise `refusal` where that is a no, or nobody does."""
        seconds = self._options.timeout_s
        where = url_for("flow-run", obj_id=flow_run.id) or f"flow run {flow_run.name}"
        self._say(f"waiting for approval in Prefect, {seconds:,.0f} s at most: {about}; {where}")
        events.emit("approval.wanted", self.dataset, {"about": about, "timeout_s": seconds})
        wanted = form.with_initial_data(description=text)
        pausing = asyncio.create_task(
            apause_flow_run(wait_for_input=wanted, timeout=int(seconds) + LONGER_S, poll_interval=POLL_S, key=artifact_key(key))
        )
        listening, stopping = asyncio.create_task(self._listen()), asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait({pausing, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            self._stop.check()
            if not done:
                raise refusal(f"{self.dataset}: {about}; nobody answered within {seconds:,.0f} s, and nothing more was spent")
            given = await pausing
        finally:
            for each in (pausing, listening, stopping):
                each.cancel()
            await asyncio.gather(pausing, listening, stopping, return_exceptions=True)
        if not given.approved:
            by, why = given.who.strip() or "somebody", given.why.strip()
            raise refusal(
                f"{self.dataset}: {about}; refused in Prefect by {by}{f': {why}' if why else ''}; nothing more was spent"
            )
        return given

    async def _listen(self) -> None:
        """Stop where the run is cancelled in Prefect's UI, which a pause doesn't hear of."""
        logger = get_run_logger()
        async with get_client() as client:
            while not self._stop:
                await asyncio.sleep(POLL_S)
                try:
                    state = (await client.read_flow_run(flow_run.id)).state
                except Exception as error:  # noqa: BLE001 - a server that restarts doesn't answer for anybody
                    logger.debug("Prefect can't be reached: %s", error)
                    continue
                if state is not None and (state.is_cancelling() or state.is_cancelled()):
                    self._stop.set(Interrupted("cancelled in Prefect while it waited for approval; nothing was asked"))
