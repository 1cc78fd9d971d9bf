"""The scorers by provider."""

from __future__ import annotations

from storage.plugins import Registry
from tasks.score.protocol import ScorerMaker

SCORERS: Registry[ScorerMaker] = Registry(
    "stillhouse.scorers",
    {
        "local": "tasks.score.llama_cpp:make",
        "openai": "tasks.score.vllm:make",
        "transformers": "tasks.score.folder:make",
    },
)
"""openai stands for a vLLM server: of those that speak OpenAI's API it gives the log-probabilities of a prompt."""
