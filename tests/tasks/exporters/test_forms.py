"""The forms that make a row of each trace."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from storage.errors import SpecError
from tasks.exporters import protocol
from tasks.exporters.alpaca import exchanges
from tasks.exporters.making import make
from tasks.exporters.registry import EXPORTERS
from tests.tasks.exporters.traces import SYSTEM, assistant, make_trace, origin, user

FORMS = ("alpaca", "messages", "prompt_completion", "sharegpt", "webdataset")
LONG = [SYSTEM, user("Hi."), assistant("Hello!"), user("What is 0?")]


def row(form: str, trace: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Return the one row of a trace, which must be as the schema says."""
    made = make(form, options)
    (found,) = made.rows([make_trace() if trace is None else trace])
    assert list(pa.RecordBatch.from_pylist([found], schema=made.schema).to_pylist()) == [found]
    assert found.keys() == set(made.schema.names)
    return found


@pytest.mark.parametrize("form", FORMS)
class TestEach:
    """What holds for every form."""

    def test_a_row_for_each_trace(self, form: str):
        """Each trace is one row, in order, that says where it comes from."""
        made = make(form, {})
        assert made.one_to_one
        rows = list(made.rows(make_trace(n) for n in range(5)))
        assert [{name: row[name] for name in origin()} for row in rows] == [origin(n) for n in range(5)]

    def test_reasoning_as_a_column(self, form: str):
        """The chain of thought is a column of its own unless something else is said; null where there is none."""
        assert row(form)["reasoning"] == "Think of 0."
        assert row(form, make_trace(1))["reasoning"] is None

    def test_reasoning_left_out(self, form: str):
        """Left out, it is nowhere in the row."""
        assert "Think of" not in str(row(form, reasoning="omit"))
        assert "reasoning" not in make(form, {"reasoning": "omit"}).schema.names

    def test_reasoning_as_text(self, form: str):
        """As text, it stands before the response and nowhere else; a response without any is as it was."""
        assert str(row(form, reasoning="think")).count("<think>\\nThink of 0.\\n</think>\\n\\nIt is 0.") == 1
        assert "think>" not in str(row(form, make_trace(1), reasoning="think"))

    def test_without_the_system_text(self, form: str):
        """The system text may be left out, as for a student that is to need none."""
        assert "Be brief." in str(row(form))
        assert "Be brief." not in str(row(form, system="omit"))

    def test_the_same_rows(self, form: str):
        """The same traces give the same rows."""
        traces = [make_trace(n) for n in range(3)]
        assert list(make(form, {}).rows(traces)) == list(make(form, {}).rows(traces))

    def test_a_mistyped_option(self, form: str):
        """An unknown option is one line with the nearest known."""
        with pytest.raises(SpecError, match=r"exports\[0\]\.reasonin: unknown key; did you mean 'reasoning'\?"):
            make(form, {"reasonin": "omit"}, where="exports[0]")


class TestMessages:
    """The conversational form."""

    def test_the_whole_conversation(self):
        """All turns, then the response as the assistant's."""
        assert row("messages", make_trace(messages=LONG))["messages"] == [*LONG, assistant("It is 0.")]

    @pytest.mark.parametrize("key", ["reasoning_content", "thinking"])
    def test_reasoning_in_its_turn(self, key: str):
        """A chat template finds the chain of thought in the assistant's turn, under the key that it reads."""
        made = make("messages", {"reasoning": "turn", "reasoning_key": key})
        (found,) = made.rows([make_trace()])
        assert found["messages"][-1] == assistant("It is 0.") | {key: "Think of 0."}
        assert "reasoning" not in found
        turns = pa.RecordBatch.from_pylist([found], schema=made.schema).to_pylist()[0]["messages"]
        assert [turn[key] for turn in turns] == [None, None, "Think of 0."]

    def test_webdataset_is_a_tar(self):
        """`webdataset` has the same rows, and is written as tar alone."""
        assert row("webdataset") == row("messages")
        assert protocol.files(make("webdataset", {})) == ("tar",)


class TestPromptCompletion:
    """Prompt and completion apart."""

    def test_conversational(self):
        """Sides are lists of turns, to which a trainer applies the chat template."""
        found = row("prompt_completion", make_trace(messages=LONG))
        assert (found["prompt"], found["completion"]) == (LONG, [assistant("It is 0.")])

    def test_standard(self):
        """Or texts, which a trainer joins as they are: what parts them stands at the prompt's end."""
        found = row("prompt_completion", conversational=False, system="omit")
        assert (found["prompt"], found["completion"]) == ("What is 0?\n\n", "It is 0.")
        found = row("prompt_completion", make_trace(messages=LONG), conversational=False, separator="\n")
        assert found["prompt"] == "Be brief.\nHi.\nHello!\nWhat is 0?\n"

    def test_texts_have_no_turns(self):
        """A text has no key for the reasoning."""
        with pytest.raises(SpecError, match=r"exports\[2\]: reasoning: turn is a key of a turn, and texts have none"):
            make("prompt_completion", {"conversational": False, "reasoning": "turn"}, where="exports[2]")


class TestAlpaca:
    """Instruction and output."""

    def test_columns(self):
        """The user's text is the instruction; the system text has a column, and so do earlier turns."""
        found = row("alpaca", make_trace(messages=LONG))
        assert {name: found[name] for name in ("instruction", "input", "output", "system", "history")} == {
            "instruction": "What is 0?",
            "input": "",
            "output": "It is 0.",
            "system": "Be brief.",
            "history": [["Hi.", "Hello!"]],
        }

    @pytest.mark.parametrize(
        ("turns", "pairs"),
        [
            ([user("a")], [("a", "")]),
            ([user("a"), user("b")], [("a\n\nb", "")]),
            ([assistant("a"), user("b")], [("", "a"), ("b", "")]),
            ([user("a"), assistant("b"), assistant("c"), user("d")], [("a", "b\n\nc"), ("d", "")]),
            ([], [("", "")]),
        ],
    )
    def test_turns_that_are_no_pairs(self, turns: list[dict[str, str]], pairs: list[tuple[str, str]]):
        """No turn is lost where users and assistants don't take turns."""
        assert exchanges(turns) == pairs


def test_sharegpt():
    """Turns have a `from` and a `value`."""
    assert row("sharegpt", make_trace(messages=LONG))["conversations"] == [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Hi."},
        {"from": "gpt", "value": "Hello!"},
        {"from": "human", "value": "What is 0?"},
        {"from": "gpt", "value": "It is 0."},
    ]


def test_every_form_is_tried():
    """A new form needs tests."""
    assert set(EXPORTERS.built_in) == {*FORMS, "preference", "soft", "tokenized"}
