"""Which part of a question an announced answer is of: "For part (b) the answer is 5"."""

from __future__ import annotations

import re

from verifiers.reading.signs import Marker

_LOOK_BACK = 1500
"""Characters before an announcement in which its label may stand."""
_NAMED = r"(?:part|question|sub-?question|problem|exercise|answer|q)"
_LABEL = re.compile(
    rf"\b{_NAMED}\s{{0,2}}[*_]{{0,2}}\(?(?P<named>[a-h]|i{{1,3}}|i?v|\d{{1,2}})\b(?!\.\d|\s?=)"
    rf"|(?:^|\n|[.,;!}}$]\s)[\s*_>#-]{{0,8}}(?:for\s|in\s)?(?:\((?P<bracketed>[a-h])\)|(?P<listed>[a-h])\))"
    rf"|\b(?P<ordinal>first|second|third|fourth|fifth)\s{_NAMED}\b"
    r"|\banswers?\s(?:for|to|of)\s(?P<name>(?-i:[A-Z])[\w'\u2019]{1,20})\s(?:is|are)\b",
    re.IGNORECASE,
)
"""The name of a part; `name`: of a person for whom something is asked."""
_OF_ALL = re.compile(r"\b(?:final|overall|combined|complete|total)\b", re.IGNORECASE)


def of_several_parts(text: str, marks: list[Marker], marker: Marker) -> bool:
    """Whether an announcement is of one part of a question and one before it of another."""
    if len(marks) < 2:  # noqa: PLR2004 - two
        return False
    before = [each for each in marks if each.end < marker.end and not each.doubt]
    own = _label(text, before[-1].end if before else 0, marker)
    return bool(own) and any(
        label not in {"", own}
        for index, each in enumerate(before)
        if (label := _label(text, before[index - 1].end if index else 0, each))
    )


def _label(text: str, begin: int, marker: Marker) -> str:
    """Return the label of the part that a marker is of, or nothing; it stands behind the marker before it."""
    if _OF_ALL.search(text, marker.start, marker.end):
        return ""
    label = ""
    for match in _LABEL.finditer(text, max(begin, marker.start - _LOOK_BACK), marker.end):
        label = next(filter(None, match.groups())).lower()
    return label
