"""What `stillhouse serve` registers: schedules, and deployments of each spec."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from flows.loading import load_spec
from flows.serving import serve
from flows.serving.serve import When
from storage.errors import SpecError


def when(cron: str | None = None, interval: str | None = None, timezone: str = "UTC") -> When:
    """Return what flags say."""
    return When.of(cron=[cron] if cron else [], interval=interval, timezone=timezone)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("30s", timedelta(seconds=30)), ("15m", timedelta(minutes=15)), ("6h", timedelta(hours=6)), ("2w", timedelta(days=14))],
)
def test_intervals(text: str, meant: timedelta) -> None:
    """A time is a number and its unit."""
    assert when(interval=text).interval == meant


@pytest.mark.parametrize("text", ["6", "h", "0s", "-1h", "1.5h", "6 hours", "99999999999w"])
def test_no_intervals(text: str) -> None:
    """What is no time is a line that names the flag."""
    with pytest.raises(SpecError, match=r"^--interval: "):
        when(interval=text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "/etc/passwd", "Europe"])
def test_no_zone(zone: str) -> None:
    """What is no zone is a line that names the flag."""
    with pytest.raises(SpecError, match=r"^--timezone: "):
        when(timezone=zone)


def test_schedules() -> None:
    """Cron's hours are meant in the zone, an interval stands beside it, and what is no cron expression is a line."""
    both = when("0 2 * * *", "6h", "Europe/Berlin")
    made = both.schedules()
    assert [(each.cron, each.interval, each.timezone) for each in made] == [
        ("0 2 * * *", None, "Europe/Berlin"),
        (None, timedelta(hours=6), "Europe/Berlin"),
    ]
    assert str(both) == "at '0 2 * * *' (Europe/Berlin) and every 6h"
    assert [str(when(interval=each)) for each in ("90m", "24h", "20s")] == ["every 90m", "every 1d", "every 20s"]
    assert when().schedules() == []
    with pytest.raises(SpecError, match=r"^--cron: 'every night'"):
        when("every night").schedules()


def test_what_is_served_beside() -> None:
    """`--with` takes names with commas between, and says which one it doesn't know."""
    assert serve.named(" export, evaluate,") == ["export", "evaluate"]
    assert serve.named(None) == []
    with pytest.raises(SpecError, match=r"^--with: 'exports' can't be served; did you mean 'export'\?"):
        serve.named("exports")


def test_a_dataset_is_served_once() -> None:
    """Two specs of one dataset would be one deployment: a line names both files."""
    first = load_spec(Path("examples/first.yaml"))
    with pytest.raises(SpecError, match=r"b\.yaml: dataset 'first' is a\.yaml's too"):
        serve.distinct([(first, Path("a.yaml")), (first, Path("b.yaml"))])


def test_deployments() -> None:
    """Builds have the schedules, what is beside them none; each has a queue of one, tags, and paths that hold anywhere."""
    path = Path("examples/first.yaml")
    made = serve.deployments(
        [(load_spec(path), path)], "/lakes/one", when("0 2 * * *"), ["export", "evaluate", "score", "distill"]
    )
    assert [each.full_name for each in made] == ["build/first", "evaluate/first", "export/first", "score/first", "distill/first"]
    assert [len(each.schedules or []) for each in made] == [1, 0, 0, 0, 0]
    assert {each.entrypoint for each in made} == {
        f"flows.{kind}.{kind}" for kind in ("build", "evaluate", "export", "score", "distill")
    }
    for each in made:
        assert each.concurrency_limit == 1
        assert each.concurrency_options is not None
        assert each.concurrency_options.collision_strategy == "ENQUEUE"
        assert each.tags == ["stillhouse", "dataset:first"]
    assert made[0].parameters == {"spec": str(path.absolute()), "lake": "/lakes/one"}
