"""A cluster that is there, and lacks what a run is to be worked with."""

from __future__ import annotations

import re

import distributed
import pytest

from flows.cluster.apart import DRAW, VERIFY
from flows.cluster.options import RunnerOptions
from flows.cluster.runner import opened
from storage.errors import SetupError


def test_a_dask_cluster_without_a_part() -> None:
    """Nobody there judges: that is said, and what would be submitted doesn't wait for ever; without parts it will do."""
    with distributed.SpecCluster(  # type: ignore[no-untyped-call]
        scheduler={"cls": distributed.Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}},
        workers={0: {"cls": distributed.Nanny, "options": {"host": "127.0.0.1", "nthreads": 2, "resources": {DRAW: 2}}}},
    ) as cluster:
        options = RunnerOptions(use="dask", address=cluster.scheduler_address, verdict_workers=1)
        missing = "no worker there has the resource 'verify': start some with --resources verify=1"
        with pytest.raises(SetupError, match=re.escape(missing)), opened(options, (DRAW, VERIFY)):
            pass
        with opened(options) as found:
            assert (found.places, dict(found.resources)) == (2, {DRAW: 2})


def test_a_ray_cluster_without_a_part() -> None:
    """Likewise, in the words of Ray's command."""
    with opened(RunnerOptions(use="ray", workers=1, shards=2)) as found:
        assert (found.places, found.resources[DRAW]) == (2, 2)
    options = RunnerOptions(use="ray", workers=1, shards=1)
    missing = "no worker there has the resource 'verify': start some with --resources '{\"verify\": 1}'"
    with pytest.raises(SetupError, match=re.escape(missing)), opened(options, (DRAW, VERIFY)):
        pass
