"""The report of a build: the numbers that every command prints, and that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One build in numbers."""

    dataset: str
    """The spec's."""
    build_id: str
    """This build's."""
    prompts: int
    """Prompts that the sources gave, the same content counted once."""
    requested: int
    """Sample slots that were asked for: kept + rejected + failed."""
    reused: int
    """Of these, samples that the lake had."""
    paid: int
    """Responses that this run bought."""
    kept: int
    """Traces."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By stage."""
    failed: int
    """Without a response."""
    cost_usd: float
    """Of this run, as far as prices are known."""
    tokens_in: int
    """Billed to this run."""
    tokens_out: int
    """Billed to this run."""
    elapsed_s: float
    """Of this run."""
    lake: str
    """Where."""
    created_at: str
    """When the build landed, ISO 8601, UTC."""
    spec_hash: str
    """Of the spec's content."""
    version: str
    """Of stillhouse."""

    @property
    def pass_rate(self) -> float | None:
        """Share of the responses that the verifiers accepted."""
        responses = self.requested - self.failed
        return None if not responses else 1 - self.rejected.get("verify", 0) / responses

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints and the manifest holds."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return the summary as (name, value) for a terminal."""
        rejected = sum(self.rejected.values())
        stages = ", ".join(f"{stage} {number:,}" for stage, number in self.rejected.items())
        rate = "" if self.pass_rate is None else f"{self.pass_rate:.0%}"
        return [
            ("build", f"{self.dataset} {self.build_id}"),
            ("prompts", f"{self.prompts:,}"),
            ("samples", f"{self.requested:,} requested: {self.reused:,} reused, {self.paid:,} paid, {self.failed:,} failed"),
            ("outcomes", f"{self.kept:,} kept + {rejected:,} rejected + {self.failed:,} failed = {self.requested:,}"),
            ("rejected by", stages or "nothing"),
            ("pass rate", rate or "no responses"),
            ("spend", f"${self.cost_usd:,.4f}, {self.tokens_in:,} tokens in, {self.tokens_out:,} out"),
            ("time", f"{self.elapsed_s:,.1f} s"),
            ("lake", self.lake),
        ]

    def markdown(self) -> str:
        """Return the summary as a table, for Prefect's UI."""
        rows = "\n".join(f"| {name} | {value} |" for name, value in self.lines())
        return f"## {self.dataset}\n\n| | |\n|---|---|\n{rows}\n"
