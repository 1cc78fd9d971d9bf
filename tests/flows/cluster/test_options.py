"""Where shards run: the spec's `runner`, and what `--runner` makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.cluster import options
from flows.cluster.options import RunnerOptions, check, chosen
from storage.errors import SetupError, SpecError
from tasks.teachers.options import TeacherOptions

DASK = RunnerOptions(use="dask", workers=5)
FAR = RunnerOptions(use="dask", address="tcp://10.0.0.1:8786")
PATH = Path("spec.yaml")


def teacher(**limits: int) -> TeacherOptions:
    """Return a teacher with limits."""
    return TeacherOptions.model_validate({"name": "t", "provider": "openai", "model": "m", "license": "MIT", "limits": limits})


@pytest.mark.parametrize(
    ("given", "flag", "wanted"),
    [
        (None, None, None),
        (RunnerOptions(use="local"), None, None),
        (DASK, None, DASK),
        (DASK, "dask", DASK),
        (DASK, "local", None),
        (DASK, "ray", RunnerOptions(use="ray")),
        (None, "dask", RunnerOptions(use="dask")),
    ],
)
def test_chosen(given: RunnerOptions | None, flag: str | None, wanted: RunnerOptions | None) -> None:
    """The flag goes before the spec, whose sizes hold where it names the same."""
    assert chosen(given, flag) == wanted


def test_mistyped() -> None:
    """A name that is none is told the nearest."""
    with pytest.raises(SpecError, match=r"--runner: unknown runner 'dusk'; did you mean 'dask'\?"):
        chosen(None, "dusk")


def test_local_has_no_address() -> None:
    """An address with this process is refused."""
    with pytest.raises(ValidationError, match="address"):
        RunnerOptions(use="local", address="tcp://10.0.0.1:8786")


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner whose extra isn't there is a line that says how to get it."""
    monkeypatch.setitem(options.PACKAGES, "dask", "no_such_package")
    with pytest.raises(SetupError, match=r"pip install 'stillhouse\[dask\]'"):
        check(DASK, (), PATH)


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:4200/api"], ids=["none", "loopback"])
def test_workers_elsewhere_need_a_server(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    """Workers on other machines can't reach a server on this one's loopback; those of a scheduler on it can."""
    monkeypatch.setattr(options, "configured_url", lambda: url)
    with pytest.raises(SetupError, match="PREFECT_API_URL"):
        check(FAR, (), PATH)
    check(RunnerOptions(use="dask", address="tcp://127.0.0.1:8786"), (), PATH)


def test_daily_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted on one machine can't be kept on several, and is refused there alone."""
    monkeypatch.setattr(options, "configured_url", lambda: "http://prefect.example/api")
    check(FAR, (teacher(requests_per_minute=5),), PATH)
    with pytest.raises(SpecError, match=r"teachers\[0\].limits"):
        check(FAR, (teacher(requests_per_day=5),), PATH)
    check(DASK, (teacher(requests_per_day=5),), PATH)
