"""What a spec may say of growing."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tasks.growth.options import GrowOptions

WRONG = {
    "no multiple": ({"per_seed": 3, "per_request": 2}, "must be a multiple of per_request"),
    "examples": ({"method": "evolve", "examples": 3}, "only `method: self_instruct`"),
    "operations": ({"method": "rephrase", "operations": ["deepen"]}, "only `method: evolve`"),
    "twice": ({"operations": ["deepen", "deepen"]}, "stands in it twice"),
    "unknown operation": ({"operations": ["shorten"]}, "deepen"),
    "num_perm": ({"near": {"num_perm": 16, "threshold": 0.3}}, "too few"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(given: dict, said: str):
    """Options that contradict each other, or that a method has no use for, say so."""
    with pytest.raises(ValidationError, match=said):
        GrowOptions(**({"method": "evolve", "teacher": "t", "per_seed": 2} | given))


def test_defaults():
    """Two words are an n-gram, also where only the threshold is set, and sampling is its own."""
    options = GrowOptions(method="self_instruct", teacher="t", per_seed=4, per_request=2, near={"threshold": 0.9})
    assert (options.near.ngram, options.requests, options.shown, options.parameters()) == (2, 2, 8, {})
    assert options.name("a.jsonl") == "a.jsonl (self_instruct by t)"
    assert options.grown_by("deepen") == "t: self_instruct/deepen"
