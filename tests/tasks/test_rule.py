"""When a sample can't be accepted any more: the SQL, against every way in which open verdicts may turn out."""

from __future__ import annotations

from itertools import product
from typing import Any

import duckdb
import pytest

from tasks.verify import Rule
from tests.fakes import make_verdict

NAMES = ("a", "b", "c")
MISSING = "missing"


@pytest.mark.parametrize("require", ["all", "any", ("a", "b")])
def test_every_combination(require: Any):
    """It is refuted where no way in which undecided and missing verdicts could turn out would make it accepted."""
    rule = Rule(require=require, listed=tuple((name, name) for name in NAMES))
    for given in product((True, False, None, MISSING), repeat=len(NAMES)):
        open_ = [name for name, verdict in zip(NAMES, given, strict=True) if verdict in (None, MISSING)]
        decided = {name: verdict for name, verdict in zip(NAMES, given, strict=True) if name not in open_}
        ways = (decided | dict(zip(open_, way, strict=True)) for way in product((True, False), repeat=len(open_)))
        verdicts = ([make_verdict(fingerprint=name, passed=passed) for name, passed in way.items()] for way in ways)
        possible = any(rule.accepts(each) for each in verdicts)
        rows = [(name, verdict) for name, verdict in zip(NAMES, given, strict=True) if verdict != MISSING]
        if rows:
            values = ", ".join(f"('{name}', {'NULL' if verdict is None else verdict}::BOOLEAN)" for name, verdict in rows)
            sql = f"SELECT {rule.refuting_sql('fingerprint', 'passed')} FROM (VALUES {values}) AS verdicts(fingerprint, passed)"
            ((refuted,),) = duckdb.connect().sql(sql).fetchall()
            assert refuted is not possible, given
