"""Near-duplicates: of responses, or prompts, that share most of their n-grams of words, one stays."""

from __future__ import annotations

from typing import Any

from storage.lake import Lake
from tasks.dedup import DedupOptions
from tasks.teachers.protocol import Choice
from tests.fakes import FakeTeacher, completion, make_prompt
from tests.tasks.house import Built, Spec, build

ONE = "the quick brown fox jumps over the lazy dog and runs away into the dark green wood behind the old mill"
"""20 words and 16 n-grams of five."""
NEAR = ONE + " today"
"""16 of 17 shared."""
FAR = ONE.replace("wood", "forest")
"""12 of 20 shared."""
LONG = "Please tell me, step by step and with all of your reasons, how many sheep there are in the field behind the old barn"


def dedup(**given: Any) -> DedupOptions:
    """Return options with `near` on."""
    return DedupOptions(**({"near": True} | given))


async def run(lake: Lake, texts: dict[str, list[str | Choice]], *, prompts: dict[str, str] | None = None, **given: Any) -> Built:
    """Build prompts whose responses these are, by the prompt's id."""
    teacher = FakeTeacher(answer=lambda request: completion(texts[request.prompt_id][request.sample_index]))
    made = [make_prompt((prompts or {}).get(name, name), prompt_id=name) for name in texts]
    k = max(map(len, texts.values()))
    return (
        await build(
            lake,
            Spec(**({"prompts": made, "teachers": {"smol": teacher}, "k": k, "dedup": dedup()} | given)),
            run=given.pop("run", "run"),
        )
        if "run" not in given
        else None
    )  # type: ignore[return-value]
