"""Labels: what a spec may sort prompts by, `source` or `tag:NAME`, as SQL over the workspace's `prompts`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from storage.errors import SpecError
from storage.plugins import nearest
from storage.sql import literal
from storage.workspace import Workspace

_TAG = "tag:"


def labelled(*names: str) -> AfterValidator:
    """Return the check that a text is one of the names or `tag:NAME`."""

    def check(text: str) -> str:
        if text in names or (text.startswith(_TAG) and text != _TAG):
            return text
        tag = text.removeprefix(_TAG) or "NAME"
        raise ValueError(f"must be {', '.join(names)} or tag:NAME, and this is {text!r}; is it tag:{tag}?")

    return AfterValidator(check)


PromptLabel = Annotated[str, Field(max_length=200), labelled("source")]
"""`source` or `tag:NAME`."""


def label_sql(label: str) -> str:
    """Return the expression that gives a prompt's label; null where it has no such tag."""
    return f"tags[{literal(label.removeprefix(_TAG))}]" if label.startswith(_TAG) else "source"


def check_labels(workspace: Workspace, labels: Iterable[tuple[str, str]], *, where: str) -> None:
    """Raise SpecError where no prompt has a tag. `labels`: pairs of the place in the spec and the label; `where`: the spec."""
    wanted = [(place, label) for place, label in labels if label.startswith(_TAG)]
    if not wanted:
        return
    known = [name for (name,) in workspace.rows("SELECT DISTINCT unnest(map_keys(tags)) AS name FROM prompts ORDER BY name")]
    for place, label in wanted:
        name = label.removeprefix(_TAG)
        if name not in known:
            raise SpecError(f"{where}: {place}: no prompt has a tag {name!r}; {nearest(name, known)}")
