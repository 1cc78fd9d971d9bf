"""Trying verifiers on what must pass and what must fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from storage.errors import SetupError, VerifierError
from storage.records import Prompt, Sample
from tasks.self_test import self_test, some
from tasks.verify import Named
from tests.fakes import FakeVerifier, make_prompt, named
from verifiers.all import All
from verifiers.parts import Part
from verifiers.protocol import Checked, Trial


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Says what the response is called, and can be tried on all three."""

    version: ClassVar[str] = "1"
    isolated: ClassVar[bool] = False
    limit_s: ClassVar[float] = 60
    says: dict[str, Any]

    def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Look it up."""
        found = self.says[sample.response]
        if isinstance(found, Exception):
            raise found
        return found

    def trials(self, prompt: Prompt) -> Iterator[Trial]:
        """Yield one of each where there is a reference."""
        if prompt.reference is not None:
            for kind in ("right", "wrong", "empty"):
                yield Trial(response=kind, kind=kind)


def tried(**says: Any) -> Named:
    """Return it as a spec uses it; what isn't said is as it should be."""
    return Named(
        name="tried", version="1", fingerprint="", verifier=Tried(says={"right": True, "wrong": False, "empty": False} | says)
    )


PROMPTS = [make_prompt("a", reference="1"), make_prompt("b", reference="2"), make_prompt("c")]


def test_sound():
    """What passes the right and fails the wrong is sound, on the prompts that bring something."""
    ((tested,), found) = self_test([tried()], PROMPTS)
    assert (tested.verifier, tested.prompts, tested.right, tested.wrong, tested.faults, tested.untried) == (
        "tried",
        2,
        2,
        4,
        {},
        "",
    )
    assert tested.sound
    assert found == []


@pytest.mark.parametrize(
    ("says", "fault", "sound"),
    [
        ({"right": False}, "fails what is right", False),
        ({"wrong": True}, "passes what is wrong", False),
        ({"empty": True}, "passes what is empty", True),
        ({"right": None}, "can't decide", True),
        ({"right": VerifierError("too long")}, "can't decide", True),
        ({"right": ZeroDivisionError("oh")}, "can't decide", True),
    ],
)
def test_faults(says: dict[str, Any], fault: str, sound: bool):
    """What isn't as it should be is counted and shown with its prompt and the verifier's reason."""
    ((tested,), found) = self_test([tried(**says)], PROMPTS)
    assert (tested.faults, tested.sound) == ({fault: 2}, sound)
    assert [(each.prompt_id, each.fault, each.response) for each in found] == [("a", fault, *says), ("b", fault, *says)]


def test_wrong_and_undecided_is_no_pass():
    """A wrong response on which nothing is decided isn't passed."""
    ((tested,), found) = self_test([tried(wrong=None, empty=None)], PROMPTS)
    assert (tested.faults, found) == ({}, [])


def test_untried():
    """It says why one was not tried."""
    alone, without = named("plain"), tried()
    (first, second), _ = self_test([alone, without], [make_prompt("c")])
    assert (first.untried, second.untried) == (
        "it compares with nothing that a prompt brings, or asks a teacher",
        "no prompt brings what it needs: a reference or tests",
    )
    assert first.sound
    assert second.sound


def test_parts():
    """Of a verifier that consists of others each part is tried by itself, however deep: a reference need not pass them all."""
    inner = All(of=(Part("tried", tried().verifier),))
    outer = All(of=(Part("short", FakeVerifier(judge=lambda prompt, sample: False)), Part("all", inner)))
    tested, _ = self_test([Named(name="all", version="1", fingerprint="", verifier=outer)], PROMPTS)
    assert [(each.verifier, bool(each.untried)) for each in tested] == [("all: short", True), ("all: all: tried", False)]


@dataclass(frozen=True, kw_only=True)
class Later(Tried):
    """Waits for something first."""

    async def check(self, prompt: Prompt, sample: Sample) -> Checked:
        """Look it up, after others had their turn."""
        await asyncio.sleep(0)
        return self.says[sample.response]


def test_one_that_waits():
    """A coroutine is awaited, and what it passes wrongly is found."""
    verifier = Later(says={"right": True, "wrong": True, "empty": False})
    ((tested,), _) = self_test([Named(name="later", version="1", fingerprint="", verifier=verifier)], PROMPTS)
    assert (tested.faults, tested.sound) == ({"passes what is wrong": 2}, False)


def test_what_can_not_judge_at_all():
    """A missing sandbox is no fault of a prompt's."""
    with pytest.raises(SetupError):
        self_test([tried(right=SetupError("no sandbox"))], PROMPTS)


def test_some():
    """So many of a stream, the same ones every time, in their order, each as likely as any other."""
    assert some(range(5), 10, seed=0) == [0, 1, 2, 3, 4]
    chosen = some(range(1000), 50, seed=7)
    assert chosen == sorted(set(chosen)) == some(range(1000), 50, seed=7)
    assert len(chosen) == 50
    times = [0] * 20
    for seed in range(2000):
        for each in some(range(20), 5, seed=seed):
            times[each] += 1
    assert min(times) > 400
    assert max(times) < 600
