"""The verifiers by name."""

from __future__ import annotations

from storage.plugins import Registry
from verifiers.protocol import Verifier

VERIFIERS: Registry[type[Verifier]] = Registry(
    "stillhouse.verifiers",
    {
        "all": "verifiers.all:All",
        "any": "verifiers.any:Any",
        "cascade": "verifiers.cascade:Cascade",
        "exact_match": "verifiers.exact_match:ExactMatch",
        "judge": "verifiers.judge:Judge",
        "self_consistency": "verifiers.self_consistency:SelfConsistency",
        "unit_tests": "verifiers.unit_tests:UnitTests",
        "weighted": "verifiers.weighted:Weighted",
    },
)
