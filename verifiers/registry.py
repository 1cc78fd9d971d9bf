"""The verifiers by name."""

from __future__ import annotations

from storage.plugins import Registry
from verifiers.protocol import Verifier

VERIFIERS: Registry[type[Verifier]] = Registry(
    "stillhouse.verifiers",
    {
        "calculation_check": "verifiers.calculation_check:CalculationCheck",
        "exact_match": "verifiers.exact_match:ExactMatch",
        "judge": "verifiers.judge:Judge",
        "reward_model": "verifiers.reward_model:RewardModel",
        "step_check": "verifiers.step_check:StepCheck",
        "unit_tests": "verifiers.unit_tests:UnitTests",
    },
)
