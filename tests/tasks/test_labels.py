"""Labels: a spec sorts prompts by their source or by a tag, and one that nobody has is a slip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import SpecError
from storage.lake import Lake
from storage.workspace import Workspace
from tasks.labels import check_labels, label_sql
from tasks.select import SelectOptions


@pytest.fixture
def workspace(lake: Lake, tmp_path: Path) -> Iterator[Workspace]:
    """Return a workspace with two prompts."""
    with Workspace(lake, tmp_path / "work") as opened:
        opened.execute(
            "CREATE TABLE prompts AS FROM (VALUES (0, 'a', MAP {'topic': 'sums', 'it''s': 'x'}), (1, 'b', MAP {})) "
            "AS prompts(ord, source, tags)"
        )
        yield opened


@pytest.mark.parametrize(
    ("label", "expected"), [("source", ["a", "b"]), ("tag:topic", ["sums", None]), ("tag:it's", ["x", None])]
)
def test_sql(workspace: Workspace, label: str, expected: list[str | None]):
    """A label is the source's name or a tag's value, where there is one."""
    assert [found for (found,) in workspace.rows(f"SELECT {label_sql(label)} FROM prompts ORDER BY ord")] == expected


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            {"cap": {"by": "tag:topc", "at": 1}},
            r"^spec\.yaml: select\.cap\[0\]\.by: no prompt has a tag 'topc'; did you mean 'topic'\?$",
        ),
        (
            {"cap": [{"by": "source", "at": 1}, {"by": "tag:x", "at": 1}]},
            r"^spec\.yaml: select\.cap\[1\]\.by: .*; known: it's, topic$",
        ),
        ({"split": {"test": 0.1, "group": "tag:x"}}, r"^spec\.yaml: select\.split\.group: no prompt has a tag 'x'"),
        ({"prefer": "best_strategy", "strategy_by": "tag:x"}, r"^spec\.yaml: select\.strategy_by\[0\]: no prompt has a tag 'x'"),
        ({"split": {"test": 0.1, "stratify": "tag:x"}}, r"^spec\.yaml: select\.split\.stratify: no prompt has a tag 'x'"),
    ],
)
def test_slips(workspace: Workspace, select: dict[str, object], message: str):
    """A tag that no prompt has is told with its place in the spec, before anything is spent."""
    with pytest.raises(SpecError, match=message):
        check_labels(workspace, SelectOptions.model_validate(select).labels, where="spec.yaml")


def test_fine(workspace: Workspace):
    """A tag that some have is all right."""
    select = SelectOptions.model_validate({"cap": [{"by": "tag:topic", "at": 1}, {"by": "teacher", "at": 1}]})
    check_labels(workspace, select.labels, where="")
    check_labels(workspace, SelectOptions().labels, where="")
