"""Preferences: kept against refuted samples of one prompt."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from storage.errors import SpecError
from tasks.exporters import protocol
from tasks.exporters.making import make
from tasks.publishing.refuted import PromptSamples
from tests.tasks.exporters.traces import SYSTEM, assistant, make_trace, user


def sample(response: str, score: float | None = None, **given: Any) -> dict[str, Any]:
    """Return a sample of the prompt p0."""
    return make_trace(sample_id=f"id of {response}", response=response, score=score, reasoning="So.", **given)


def prompt(kept: list[dict[str, Any]], refuted: list[dict[str, Any]], name: str = "p0", split: str = "train") -> PromptSamples:
    """Return a prompt's samples."""
    return PromptSamples(prompt_id=name, split=split, kept=tuple(kept), refuted=tuple(refuted))


def rows(*prompts: PromptSamples, **options: Any) -> list[dict[str, Any]]:
    """Return rows, which must be as the schema says."""
    made = make("preference", options)
    found = list(made.rows(prompts))
    pa.RecordBatch.from_pylist(found, schema=made.schema)
    assert all(list(row) and row.keys() == set(made.schema.names) for row in found)
    return found


def pairs(*prompts: PromptSamples, **options: Any) -> list[tuple[str, str]]:
    """Return the texts of the pairs."""
    return [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows(*prompts, **options)]


def test_a_row():
    """A row has the prompt's turns, both responses as turns, and where they come from."""
    bad = sample("5", 0.25, teacher="big", model="b-1", license="MIT AND Apache-2.0")
    (row,) = rows(prompt([sample("4", 1.0)], [bad]))
    assert row == {
        "prompt": [SYSTEM, user("What is 0?")],
        "chosen": [assistant("4")],
        "rejected": [assistant("5")],
        "score_chosen": 1.0,
        "score_rejected": 0.25,
        "score_gap": 0.75,
        "rejected_sample_id": "id of 5",
        "rejected_teacher": "big",
        "rejected_model": "b-1",
        "prompt_id": "p0",
        "sample_id": "id of 4",
        "teacher": "smol",
        "model": "m-1",
        "license": "Apache-2.0 AND MIT",
    }


def test_cut_off():
    """What was cut off is on neither side, and a prompt that has nothing else there has no pair."""
    kept = [sample("4", 1.0, finish_reason="length"), sample("four", 0.5, finish_reason="stop")]
    refuted = [sample("5", 0.0, finish_reason="max_tokens"), sample("five", 0.5)]
    assert pairs(prompt(kept, refuted), pairs="all") == [("four", "five")]
    made = make("preference", {})
    assert len(list(made.rows([prompt(kept, refuted), prompt(kept[:1], refuted), prompt(kept, refuted[:1])]))) == 1
    assert protocol.facts(made)["prompts_unpaired"] == {"none_refuted": 0, "none_comparable": 2}


def test_what_it_is_given():
    """It is given prompts, not traces, and how many rows they make isn't known."""
    made = make("preference", {})
    assert (protocol.needs_refuted(made), made.one_to_one) == (True, False)


def test_texts():
    """Sides may be texts."""
    (row,) = rows(prompt([sample("4")], [sample("5")]), conversational=False, system="omit")
    assert (row["prompt"], row["chosen"], row["rejected"], row["score_gap"]) == ("What is 0?\n\n", "4", "5", None)


@pytest.mark.parametrize("reasoning", ["think", "turn", "omit"])
def test_reasoning(reasoning: str):
    """Both sides show their chain of thought, or neither."""
    (row,) = rows(prompt([sample("4")], [sample("5")]), reasoning=reasoning)
    for side, text in (("chosen", "4"), ("rejected", "5")):
        shown = {
            "think": assistant(f"<think>\nSo.\n</think>\n\n{text}"),
            "turn": assistant(text) | {"reasoning_content": "So."},
            "omit": assistant(text),
        }
        assert row[side] == [shown[reasoning]]


def test_one_column_for_two_thoughts():
    """A column can't have the reasoning of both."""
    with pytest.raises(SpecError, match=r"exports\.reasoning: must be 'turn', 'think' or 'omit', and this is 'field'"):
        make("preference", {"reasoning": "field"})


class TestWhich:
    """Which pair is chosen."""

    def test_the_best_and_the_worst(self):
        """The best score against the worst."""
        assert pairs(prompt([sample("a", 0.8), sample("b", 0.9)], [sample("c", 0.4), sample("d", 0.1)])) == [("b", "d")]

    def test_the_same_teacher_first(self):
        """A refuted sample of the same teacher goes before a worse one of another."""
        refuted = [sample("c", 0.0, teacher="big"), sample("d", 0.4)]
        assert pairs(prompt([sample("a", 1.0)], refuted)) == [("a", "d")]

    def test_of_similar_length(self):
        """Among equals the length decides, so that length isn't what is learnt; then the order."""
        refuted = [sample("x" * 50, 0.0), sample("y" * 9, 0.0), sample("z" * 11, 0.0)]
        assert pairs(prompt([sample("a" * 10, 1.0)], refuted)) == [("a" * 10, "y" * 9)]

    def test_all(self):
        """Every pair, best first."""
        found = pairs(prompt([sample("a", 0.8), sample("b", 0.9)], [sample("c", 0.4), sample("d", 0.1)]), pairs="all")
        assert found == [("b", "d"), ("b", "c"), ("a", "d"), ("a", "c")]

    def test_all_once(self):
        """What was refuted twice in the same words makes one pair, of the first of them; other reasoning is other words."""
        again = [sample("5", 0.1) | {"sample_id": name} for name in ("x", "y")]
        found = rows(prompt([sample("4"), sample("four")], [sample("5", 0.0), *again, sample(" 5\n", 0.2)]), pairs="all")
        assert [(row["sample_id"], row["rejected_sample_id"]) for row in found] == [
            ("id of 4", "id of 5"),
            ("id of four", "id of 5"),
        ]
        thought = [sample("5"), sample("5") | {"sample_id": "x", "reasoning": "Else."}]
        assert [len(rows(prompt([sample("4")], thought), pairs="all", reasoning=how)) for how in ("omit", "turn", "think")] == [
            1,
            2,
            2,
        ]

    @pytest.mark.parametrize("same", ["4", " 4\n", "４"])
    def test_never_the_same_text(self, same: str):
        """Texts that are the same but for white space and Unicode's forms are no pair."""
        assert pairs(prompt([sample("4", 1.0)], [sample(same, 0.0), sample("5", 0.5)]), pairs="all") == [("4", "5")]

    def test_the_reasoning_may_differ(self):
        """Where reasoning is shown, it tells texts apart."""
        refuted = [sample("4") | {"reasoning": "Or so."}]
        assert pairs(prompt([sample("4")], refuted), reasoning="think") == [
            ("<think>\nSo.\n</think>\n\n4", "<think>\nOr so.\n</think>\n\n4")
        ]

    def test_never_of_another_question(self):
        """A sample that was asked otherwise is no answer to this prompt, unless what differs isn't shown."""
        other = sample("5", messages=[{"role": "system", "content": "Be long."}, user("What is 0?")])
        one = prompt([sample("4")], [other])
        assert pairs(one, system="omit") == [("4", "5")]
        assert pairs(one, prompt([sample("a")], [sample("b")])) == [("a", "b")]


class TestFacts:
    """What the manifest says."""

    def test_why_prompts_have_none(self):
        """Every prompt is counted, with or without a pair."""
        made = make("preference", {"pairs": "all"})
        good, bad, twin = sample("4", 1.0), sample("5", 0.0), sample("4 ", 0.0)
        source = [prompt([good, sample("four")], [bad]), prompt([good], []), prompt([good], [twin]), prompt([good], [bad])]
        for _ in range(2):  # each call counts anew
            assert len(list(made.rows(source))) == 3
            assert protocol.facts(made) == {
                "prompts": 4,
                "prompts_paired": 2,
                "prompts_unpaired": {"none_refuted": 1, "none_comparable": 1},
            }

    def test_no_pair_at_all(self):
        """Not a single pair is one line that says what to do; a build without traces is no fault of the form."""
        with pytest.raises(SpecError, match=r"no prompt has a kept and a refuted sample.*raise sampling\.k"):
            rows(prompt([sample("4")], []))
        assert rows() == []

    def test_a_small_split(self):
        """Another split than train may be so small that it has none."""
        assert rows(prompt([sample("4")], [], split="validation")) == []
