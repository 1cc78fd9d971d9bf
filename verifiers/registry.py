"""The verifiers by name."""

from __future__ import annotations

from storage.plugins import Registry
from verifiers.protocol import Verifier

VERIFIERS: Registry[type[Verifier]] = Registry(
    "stillhouse.verifiers",
    {
        "all": "verifiers.all:All",
        "any": "verifiers.any:Any",
        "calculation_check": "verifiers.calculation_check:CalculationCheck",
        "cascade": "verifiers.cascade:Cascade",
        "contains": "verifiers.contains:Contains",
        "exact_match": "verifiers.exact_match:ExactMatch",
        "json_schema": "verifiers.json_schema:JsonSchema",
        "judge": "verifiers.judge:Judge",
        "language": "verifiers.language:Language",
        "length": "verifiers.length:Length",
        "program_answer": "verifiers.program_answer:ProgramAnswer",
        "python": "verifiers.python:Python",
        "refusal": "verifiers.refusal:Refusal",
        "regex": "verifiers.regex:Regex",
        "repetition": "verifiers.repetition:Repetition",
        "reward_model": "verifiers.reward_model:RewardModel",
        "self_consistency": "verifiers.self_consistency:SelfConsistency",
        "step_check": "verifiers.step_check:StepCheck",
        "truncation": "verifiers.truncation:Truncation",
        "unit_tests": "verifiers.unit_tests:UnitTests",
        "weighted": "verifiers.weighted:Weighted",
    },
)
