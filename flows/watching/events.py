"""The events that a run emits to Prefect, for automations to act on: names and counts, never a text or a key.

`stillhouse.build.landed`, `stillhouse.passrate.low`, `stillhouse.budget.exhausted`, `stillhouse.teacher.down`; each of the
resource `stillhouse.dataset.NAME`. docs/watching.md lists what they carry, which is a promise to whoever writes an automation.
"""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

from flows.progress import Progress
from storage.errors import BudgetSpent, TeacherDown, UserError
from tasks.report import Summary


def emit(name: str, dataset: str, payload: dict[str, Any]) -> None:
    """Emit an event of a dataset. Prefect adds the flow run that it came from."""
    resource = {"prefect.resource.id": f"stillhouse.dataset.{dataset}", "prefect.resource.name": dataset}
    emit_event(f"stillhouse.{name}", resource=resource, payload={"dataset": dataset} | payload)


def landed(summary: Summary, exports: list[dict[str, Any]], *, report: str | None) -> None:
    """Tell that a build has landed, with what it was exported to, and where its report is."""
    emit(
        "build.landed",
        summary.dataset,
        {
            "build_id": summary.build_id,
            "prompts": summary.prompts,
            "requested": summary.requested,
            "reused": summary.reused,
            "paid": summary.paid,
            "kept": summary.kept,
            "rejected": dict(summary.rejected),
            "failed": summary.failed,
            "pass_rate": summary.pass_rate,
            "cost_usd": summary.cost_usd,
            "exports": [{"format": each["format"], "rows": each["rows"], "to": each["destination"]} for each in exports],
            "report": report,
        },
    )


def low_pass_rate(dataset: str, build_id: str, *, rate: float, least: float, judged: int, whole: bool) -> None:
    """Tell that too few samples pass. `whole`: of the landed build; else of what was drawn by now."""
    counts = {"pass_rate": round(rate, 6), "min_pass_rate": least, "judged": judged, "whole": whole}
    emit("passrate.low", dataset, {"build_id": build_id} | counts)


def ended(dataset: str, build_id: str, error: UserError, progress: Progress) -> None:
    """Tell what ended a run early, where it is something that an operator acts on."""
    payload: dict[str, Any] = {"build_id": build_id, "message": str(error)} | progress.spending.totals()
    if isinstance(error, BudgetSpent):
        emit("budget.exhausted", dataset, payload | {"budget_usd": progress.budget.usd, "spent_usd": progress.budget.spent})
    elif isinstance(error, TeacherDown):
        unwell = {line.teacher for line in progress.lines if line.standing in {"failing", "closed"}}
        emit("teacher.down", dataset, payload | {"teachers": sorted(unwell)})
