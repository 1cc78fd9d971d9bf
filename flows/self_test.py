"""Self-test of a spec's verifiers: on the prompts' own references, and on what is wrong, before anything is spent."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import judging, rights, wiring
from flows.checks import ready
from flows.loading import placed
from flows.spec import Spec
from storage.wording import counted
from tasks.license import gate
from tasks.self_test import Found, Tested, self_test, some


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTested:
    """What `stillhouse verify --self-test` says."""

    dataset: str
    """The spec's."""
    prompts: int
    """Prompts that were looked at."""
    verifiers: list[Tested]
    """In the spec's order; of one that consists of others, its parts."""
    faults: list[Found]
    """Some of what isn't as it should be."""

    @property
    def sound(self) -> bool:
        """Whether every verifier passed what is right and failed what is wrong."""
        return all(each.sound for each in self.verifiers)

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self) | {"sound": self.sound}

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        lines = [("prompts", f"{self.prompts:,} looked at")]
        for each in self.verifiers:
            if each.untried:
                lines.append((each.verifier, f"not tried: {each.untried}"))
                continue
            tried = f"{each.right:,} right and {each.wrong:,} wrong responses to {counted(each.prompts, 'prompt')}"
            faults = ", ".join(f"{fault} {counted(number, 'time')}" for fault, number in each.faults.items())
            lines.append((each.verifier, f"{'sound' if each.sound else 'NOT SOUND'}: {tried}{f'; {faults}' if faults else ''}"))
        return lines


def test(spec: Spec, path: Path, *, prompts: int) -> SelfTested:
    """Try a spec's verifiers on so many of its prompts, each as likely as any other. Nobody is asked, and nothing is stored."""
    with placed(path):
        gate(rights.licensed(spec, path), spec.licenses)
        verifiers = judging.make_verifiers(spec, path)
        asyncio.run(ready(verifiers))
        chosen = [found.prompt for found in some(wiring.read(spec), prompts, seed=spec.seed)]
    tested, faults = self_test(verifiers, chosen)
    return SelfTested(dataset=spec.dataset, prompts=len(chosen), verifiers=tested, faults=faults)
