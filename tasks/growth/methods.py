"""What a teacher is asked for. The instructions are data files, in words of our own.

self_instruct: Wang et al. 2022, "Self-Instruct: Aligning Language Models with Self-Generated Instructions": some prompts are
shown as examples of what is wanted. evolve: Xu et al. 2023, "WizardLM: Empowering Large Language Models to Follow Complex
Instructions" (Evol-Instruct): in depth (deepen, constrain, concretise, reason) and in breadth (broaden). rephrase: Yu et al.
2023, "MetaMath: Bootstrap Your Own Mathematical Questions for Large Language Models".
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from string import Template

from tasks.growth.options import OPERATIONS, GrowOptions

_FOLDER = Path(__file__).parent / "instructions"
BEGIN, END = "<<<", ">>>"
"""Around each prompt that is shown."""


def operation(options: GrowOptions, seed: int, prompt_id: str, number: int) -> str | None:
    """Return by which operation a seed's n-th request changes it.

    Each seed begins with another one, so that few requests make all operations too; then they take turns.
    """
    if options.method != "evolve":
        return None
    taken = options.operations or OPERATIONS
    return taken[(drawn(seed, prompt_id) + number) % len(taken)]


def drawn(*of: object) -> int:
    """Return a number that looks as if drawn at random, and is always the same of the same."""
    return int.from_bytes(sha256("/".join(map(str, of)).encode("utf-8", "surrogatepass")).digest()[:8], "big")


def instruction(options: GrowOptions, changed: str | None, shown: Sequence[str]) -> str:
    """Return what the user says: the instruction for some prompts, and in which form the answer must be."""
    count = options.per_request
    texts = "\n\n".join(f"{BEGIN}\n{text}\n{END}" for text in shown)
    own = _text(changed or options.method)
    parts = [own.substitute(count="one more" if count == 1 else f"{count} more", shown=texts)]
    if count > 1 and options.method != "self_instruct":
        parts.append(_text("several").substitute(count=count))
    parts.append(_text("form").substitute(count="one text" if count == 1 else f"{count} texts"))
    return "\n\n".join(part.strip() for part in parts)


@functools.cache
def own_words() -> tuple[str, ...]:
    """Return our own texts, without what they are filled with: an answer that has much of them in it repeats them."""
    return tuple(path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.txt")))


@functools.cache
def _text(name: str) -> Template:
    return Template((_FOLDER / f"{name}.txt").read_text(encoding="utf-8"))
