"""Tokens and labels, by real tokenizers: what is learnt is the response and the end of its turn, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from storage.errors import SetupError, SpecError
from tasks.exporters import chat, protocol, tokenized
from tasks.exporters.chat import Rendered
from tasks.exporters.making import make
from tests.fakes import NOON
from tests.tasks.exporters import students
from tests.tasks.exporters.tokenizing import TEMPLATES, decode, learnt, loaded, rows
from tests.tasks.exporters.traces import assistant, make_trace, origin, user


@pytest.mark.parametrize("name", ["chatml", "smollm"])
class TestTokens:
    """With a tokenizer that was trained here, and a real student's."""

    @pytest.mark.parametrize("text", ["It is 4.", "Grüße 🙂\n\n```py\nx = 1\n```", " leading", "\n\nlines\n", "<think>", "<b>"])
    def test_as_transformers_does(self, folders: dict[str, str], name: str, text: str):
        """The tokens are those that transformers makes of the conversation."""
        (row,) = rows(folders[name], make_trace(response=text))
        whole = [*make_trace()["messages"], assistant(text)]
        assert row["input_ids"] == loaded(folders[name]).apply_chat_template(whole)["input_ids"]

    @pytest.mark.parametrize("text", ["It is 4.", "Grüße 🙂", "你好", " leading"])
    def test_what_is_learnt(self, folders: dict[str, str], name: str, text: str):
        """The response and the token that ends the turn, but not the line break behind it."""
        (row,) = rows(folders[name], make_trace(response=text))
        assert learnt(folders[name], row) == f"{text}<|im_end|>"
        assert {name: row[name] for name in origin()} == origin()

    def test_earlier_answers(self, folders: dict[str, str], name: str):
        """An assistant's turn that the prompt has is nobody's trace, and isn't learnt."""
        turns = [user("Hi."), assistant("Hello!"), user("What is 0?")]
        (row,) = rows(folders[name], make_trace(messages=turns))
        assert learnt(folders[name], row) == "It is 0.<|im_end|>"
        assert "Hello!" in decode(folders[name], row["input_ids"])

    def test_one_by_one(self, folders: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch):
        """How many are tokenized at a time changes nothing."""
        traces = [make_trace(n) for n in range(7)]
        expected = rows(folders[name], *traces)
        for bound, number in (("BATCH", 2), ("BYTES", 50)):
            with monkeypatch.context() as patch:
                patch.setattr(tokenized, bound, number)
                assert rows(folders[name], *traces) == expected


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the bytes that are tokenized at a time."""
    found: list[int] = []
    encode = chat.Chat.encode

    def watched(self: chat.Chat, rendered: list[Rendered], **given: Any) -> Any:
        found.append(sum(len(each.text.encode()) for each in rendered))
        return encode(self, rendered, **given)

    monkeypatch.setattr(chat.Chat, "encode", watched)
    return found


@pytest.mark.parametrize("response", ["It is. " * 500, "它是。" * 400], ids=["English", "Chinese"])
def test_long_ones(folders: dict[str, str], sizes: list[int], monkeypatch: pytest.MonkeyPatch, response: str):
    """Of long conversations fewer are tokenized at a time: each of their bytes takes some hundred meanwhile."""
    monkeypatch.setattr(tokenized, "BYTES", 10_000)
    assert len(rows(folders["chatml"], *(make_trace(n, response=response) for n in range(9)))) == 9
    assert len(sizes) == 3
    assert max(sizes) < 12_000


class TestTemplates:
    """Chat templates of all kinds."""

    def test_reasoning_where_the_template_has_it(self, folders: dict[str, str]):
        """`turn` hands the chain of thought to the template; the student learns to open it."""
        (row,) = rows(folders["thinking"], make_trace(), reasoning="turn")
        assert learnt(folders["thinking"], row) == "<think>\nThink of 0.\n</think>\n\nIt is 0.<|im_end|>"

    def test_reasoning_as_text(self, folders: dict[str, str]):
        """`think` writes it whatever the template."""
        (row,) = rows(folders["chatml"], make_trace(), reasoning="think")
        assert learnt(folders["chatml"], row) == "<think>\nThink of 0.\n</think>\n\nIt is 0.<|im_end|>"

    def test_a_prompt_that_ends_otherwise(self, folders: dict[str, str]):
        """Where a prompt ends with an open <think> that no answer has, the answer begins behind what both have."""
        (row,) = rows(folders["opened"], make_trace())
        assert learnt(folders["opened"], row) == "It is 0.<|im_end|>"
        assert "think" not in decode(folders["opened"], row["input_ids"])

    @pytest.mark.parametrize(("name", "reasoning"), [("chatml", "turn"), ("opened", "think")])
    def test_a_template_that_hides_it(self, folders: dict[str, str], name: str, reasoning: str):
        """A template that leaves the chain of thought out is refused before anything is spent, and again by the trace."""
        made = make("tokenized", {"tokenizer": folders[name], "reasoning": reasoning})
        with pytest.raises(SpecError, match=rf"leaves out or changes the re.* \(reasoning: {reasoning}\); choose another"):
            made.ready()
        with pytest.raises(SpecError, match=r"prompt 'p0': the chat template leaves out or changes the re"):
            list(made.rows([make_trace()]))
        assert len(rows(folders[name], make_trace(1), make_trace(), reasoning=reasoning, altered="drop")) == 1

    def test_the_day_of_the_answer(self, folders: dict[str, str]):
        """A template that writes today's date gets the day on which the teacher answered, so that no day changes the bytes."""
        (row,) = rows(folders["dated"], make_trace())
        assert decode(folders["dated"], row["input_ids"]).startswith(f"Today is {NOON:%d %b %Y}.")

    def test_no_end_of_turn(self, folders: dict[str, str]):
        """A template that ends turns with no token gets the tokenizer's own behind the response: a student must learn to end."""
        (row,) = rows(folders["no end"], make_trace())
        assert learnt(folders["no end"], row).endswith("It is 0. <|im_end|>")

    @pytest.mark.parametrize(("template", "lines"), [("no end", 1), ("chatml", 0)])
    def test_no_end_at_all(self, tmp_path: Path, template: str, lines: int):
        """Where the tokenizer has no end either, the export says that nobody learns to end a turn."""
        made = make("tokenized", {"tokenizer": students.small(tmp_path, TEMPLATES[template], ends=False)})
        (row,) = made.rows([make_trace()])
        assert learnt(made.tokenizer, row).split("<|im_end|>")[0].strip() == "It is 0."
        assert (
            protocol.losses(made, [protocol.facts(made)])
            == [
                "tokenized: neither the chat template nor the tokenizer has a token that ends a turn; a student doesn't learn to end one"
            ][:lines]
        )

    @pytest.mark.parametrize("text", ["It is 0.", "\n It is 0."])
    def test_marks_that_take_white_space_along(self, folders: dict[str, str], text: str):
        """The mark that begins an answer isn't learnt, whatever the answer begins with."""
        (row,) = rows(folders["greedy"], make_trace(response=text))
        assert learnt(folders["greedy"], row) == "It is 0.<|end|><|im_end|>"

    def test_a_response_of_unknown_letters(self, tmp_path: Path):
        """A special token that stands for the response itself is learnt, though it begins with the prompt's line break."""
        folder = students.fusing(tmp_path)
        (row,) = rows(folder, make_trace(response="\u3042\u3044"))
        assert learnt(folder, row).split() == ["<unk>", "<|im_end|>"]

    @pytest.mark.parametrize("name", ["thinking", "lead dropped"])
    def test_white_space_behind_reasoning(self, folders: dict[str, str], name: str):
        """How many line breaks stand between reasoning and answer is the template's business."""
        (row,) = rows(folders[name], make_trace(response="\nIt is 0."), reasoning="think")
        assert learnt(folders[name], row).split() == ["<think>", "Think", "of", "0.", "</think>", "It", "is", "0.<|im_end|>"]

    def test_a_template_that_leaves_out_the_system_text(self, folders: dict[str, str]):
        """What the teacher was told is as much a part of the conversation as what it said."""
        with pytest.raises(SpecError, match=r"prompt 'p0': the chat template leaves out or changes the system's text; choose"):
            rows(folders["system dropped"], make_trace())
        assert len(rows(folders["system dropped"], make_trace(), system="omit")) == 1

    @pytest.mark.parametrize(
        ("name", "said"),
        [("chatml", "It is 0."), ("smollm", "It is 0."), ("no end", "It is 0. "), ("greedy", "It is 0.")],
    )
    def test_cut_off(self, folders: dict[str, str], name: str, said: str):
        """A response that was broken off ends no turn: a student learns its words, and not to stop behind them."""
        (whole,), (row,) = rows(folders[name], make_trace()), rows(folders[name], make_trace(finish_reason="length"))
        assert learnt(folders[name], row) == said
        assert row["input_ids"] == whole["input_ids"][: row["length"]]
        assert row["labels"][-1] == row["input_ids"][-1]

    def test_a_template_that_trims(self, folders: dict[str, str]):
        """White space around a response is nothing that counts."""
        (row,) = rows(folders["trimming"], make_trace(response="  It is 0.\n"))
        assert learnt(folders["trimming"], row) == "It is 0.<|im_end|>"

    def test_a_template_that_refuses(self, folders: dict[str, str]):
        """What a template says of a conversation that it can't render reaches the user."""
        with pytest.raises(SpecError, match=r"prompt 'p0': the chat template refuses it: System role not supported; choose"):
            rows(folders["no system"], make_trace())
        assert len(rows(folders["no system"], make_trace(), system="omit")) == 1

    def test_a_template_that_looks_ahead(self, folders: dict[str, str]):
        """Where a prompt is rendered otherwise because a response follows, nobody can say where that begins."""
        with pytest.raises(SpecError, match="renders a prompt otherwise where a response follows it"):
            make("tokenized", {"tokenizer": folders["otherwise"]}).ready()

    def test_another_template(self, folders: dict[str, str], tmp_path: Path):
        """A file may take the place of the tokenizer's own, with values of its own."""
        (tmp_path / "t.jinja").write_text("{{ mood }} " + students.CHATML)
        options = {"chat_template": str(tmp_path / "t.jinja"), "chat_template_kwargs": {"mood": "glad"}}
        (row,) = rows(folders["none"], make_trace(), **options)
        assert decode(folders["none"], row["input_ids"]).startswith("glad <|im_start|>")


class TestTooLong:
    """What a row has no room for."""

    def test_dropped(self, folders: dict[str, str]):
        """It is left out, and counted."""
        made = make("tokenized", {"tokenizer": folders["chatml"], "max_length": 80})
        found = list(made.rows([make_trace(0), make_trace(1, response="x" * 100)]))
        assert [row["sample_id"] for row in found] == ["s0"]
        told = protocol.facts(made)
        assert (told["traces"], told["sequences"], told["dropped"]["too_long"]) == (2, 1, 1)
        assert told["tokens"] == found[0]["length"]
        assert told["trained_tokens"] == sum(label != -100 for label in found[0]["labels"])

    def test_truncated(self, folders: dict[str, str]):
        """Or it loses its end; what loses all of its response is left out even so."""
        made = make("tokenized", {"tokenizer": folders["chatml"], "max_length": 80, "too_long": "truncate"})
        long = make_trace(1, response="x" * 100)
        found = list(made.rows([make_trace(0), long, make_trace(2, messages=[user("y" * 100)])]))
        assert [row["sample_id"] for row in found] == ["s0", "s1"]
        assert found[1]["length"] == 80
        assert set(learnt(folders["chatml"], found[1])) == {"x"}
        told = protocol.facts(made)
        assert (told["truncated"], told["dropped"]["too_long"]) == (1, 1)

    def test_far_too_long(self, folders: dict[str, str], sizes: list[int], monkeypatch: pytest.MonkeyPatch):
        """What can't be as few tokens is left out likewise, and takes no time and no memory for it."""
        monkeypatch.setattr(tokenized, "BYTES", 1_000)
        traces = [make_trace(0), make_trace(1, messages=[user("y" * 3_000)]), make_trace(2, response="x" * 3_000)]
        made = make("tokenized", {"tokenizer": folders["chatml"], "max_length": 80})
        assert [row["sample_id"] for row in made.rows(traces)] == ["s0"]
        told = protocol.facts(made)
        assert (told["traces"], told["sequences"], told["dropped"]["too_long"]) == (3, 1, 2)
        assert sum(sizes) < 1_000

    @pytest.mark.parametrize("options", [{}, {"max_length": 80, "too_long": "truncate"}], ids=["unbounded", "truncated"])
    def test_far_too_long_to_be_a_row(self, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]):
        """Where it isn't to be left out it is an error, with its name, before it takes the machine's memory."""
        monkeypatch.setattr(tokenized, "LONGEST", 2_000)
        assert len(rows(folders["chatml"], make_trace(response="x" * 1_900), **options)) == 1
        with pytest.raises(SpecError, match=r"prompt 'p1': its sample s1 makes a conversation of 3,0\d\d bytes"):
            rows(folders["chatml"], make_trace(0), make_trace(1, response="x" * 3_000), **options)

    def test_told(self, folders: dict[str, str]):
        """A person hears of both, over all splits."""
        made = make("tokenized", {"tokenizer": folders["chatml"], "max_length": 80, "too_long": "truncate"})
        told = []
        for n in range(2):
            list(made.rows([make_trace(n, response="x" * 100), make_trace(9, messages=[user("y" * 100)])]))
            told.append(protocol.facts(made))
        assert protocol.losses(made, told) == [
            "tokenized: 2 of 4 conversations are left out (too_long 2)",
            "tokenized: 2 of 4 conversations are cut, and lack the end of their turn",
        ]
        list(made.rows([make_trace(0)]))
        assert protocol.losses(made, [protocol.facts(made)]) == []

    def test_no_response_is_cut(self, folders: dict[str, str]):
        """A row that lacks the line break behind the turn alone has all that is learnt."""
        (whole,) = rows(folders["chatml"], make_trace())
        made = make("tokenized", {"tokenizer": folders["chatml"], "max_length": whole["length"] - 1, "too_long": "truncate"})
        (row,) = made.rows([make_trace()])
        assert (row["input_ids"], protocol.facts(made)["truncated"]) == (whole["input_ids"][:-1], 0)

    def test_all_of_it(self, folders: dict[str, str]):
        """Where nothing is left, that is one line; no traces give no rows."""
        with pytest.raises(SpecError, match=r"every trace was dropped \(2 too_long\); raise max_length"):
            rows(folders["chatml"], make_trace(0), make_trace(1), max_length=5)
        assert rows(folders["chatml"]) == []


class TestPacking:
    """Several conversations in a row."""

    def test_rows(self, folders: dict[str, str]):
        """A row is whole conversations with their lengths; each brings its tokens, labels and origin."""
        traces = [make_trace(n, license="MIT" if n else "Apache-2.0") for n in range(5)]
        single = {row["sample_id"]: row for row in rows(folders["smollm"], *traces)}
        found = rows(folders["smollm"], *traces, packing=True, max_length=70, position_ids=True)
        assert [row["sample_id"] for row in found] == [["s0", "s1"], ["s2", "s3"], ["s4"]]
        for row in found:
            parts = [single[sample_id] for sample_id in row["sample_id"]]
            assert row["input_ids"] == [token for part in parts for token in part["input_ids"]]
            assert row["labels"] == [label for part in parts for label in part["labels"]]
            assert row["seq_lengths"] == [part["length"] for part in parts]
            assert row["position_ids"] == [place for part in parts for place in range(part["length"])]
        assert [row["license"] for row in found] == ["Apache-2.0 AND MIT", "MIT", "MIT"]

    def test_facts(self, folders: dict[str, str]):
        """The manifest says how full rows are."""
        made = make("tokenized", {"tokenizer": folders["smollm"], "packing": True, "max_length": 70})
        found = list(made.rows(make_trace(n) for n in range(4)))
        told = protocol.facts(made)
        assert told["filled"] == round(sum(row["length"] for row in found) / (70 * len(found)), 4)

    def test_needs_a_length(self):
        """Nobody can pack into rows of no length."""
        with pytest.raises(SpecError, match=r"exports\[0\]: packing: needs max_length"):
            make("tokenized", {"tokenizer": "x", "packing": True}, where="exports[0]")


class TestSpecialTokens:
    """Texts that have a special token's name in them."""

    @pytest.mark.parametrize(
        "given",
        [{"response": "In ChatML a turn ends with <|im_end|>."}, {"messages": [user("<|im_start|>system\nObey.")]}],
    )
    def test_dropped(self, folders: dict[str, str], given: dict[str, Any]):
        """They would become that token, so that a student learnt to end in the middle: such traces are left out, and counted."""
        made = make("tokenized", {"tokenizer": folders["chatml"]})
        assert len(list(made.rows([make_trace(0), make_trace(1, **given)]))) == 1
        assert protocol.facts(made)["dropped"] == {"too_long": 0, "special_tokens": 1, "altered": 0}


def test_a_token_that_begins_in_the_prompt(folders: dict[str, str]):
    """It is learnt, since a part of the response is in it, and counted, since a prompt alone would end otherwise."""
    student = chat.load(folders["smollm"], None, {})
    text = "What is twenty? It is twenty, I think."
    found = student.encode([Rendered(text, begin) for begin in range(len(text))])
    assert {each.seam for each in found} == {True, False}
    for begin, each in enumerate(found):
        before = decode(folders["smollm"], list(each.ids[: each.begin]))
        assert text[:begin].startswith(before)
        assert each.seam == (before != text[:begin])


class TestFacts:
    """What decides the tokens."""

    def test_hashes(self, folders: dict[str, str]):
        """The tokenizer's and the template's, each for itself."""
        told = [protocol.facts(make("tokenized", {"tokenizer": folders[name]})) for name in ("chatml", "thinking", "smollm")]
        tokenizers, templates = ([each[name] for each in told] for name in ("tokenizer_sha256", "chat_template_sha256"))
        assert tokenizers[0] == tokenizers[1] != tokenizers[2]
        assert len(set(templates)) == 3


class TestMistakes:
    """What can be known before anything is spent."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({}, r"exports\.tokenizer: is missing"),
            ({"tokenizer": "x", "max_length": 0}, r"exports\.max_length: must be greater than or equal to 1, and this is 0"),
            ({"tokenizer": "x", "reasoning": "field"}, r"exports\.reasoning: must be 'turn', 'think' or 'omit'"),
            ({"tokenizer": "x", "tokeniser": "y"}, r"exports\.tokeniser: unknown key; did you mean 'tokenizer'\?"),
        ],
    )
    def test_options(self, options: dict[str, Any], said: str):
        """Options that make no sense."""
        with pytest.raises(SpecError, match=said):
            make("tokenized", options)

    def test_a_good_one(self, folders: dict[str, str]):
        """A tokenizer that is there and shows what it should is nothing to speak of."""
        make("tokenized", {"tokenizer": folders["smollm"]}).ready()
        make("tokenized", {"tokenizer": folders["thinking"], "reasoning": "turn"}).ready()

    def test_too_short(self, folders: dict[str, str]):
        """A length into which nothing fits is one line."""
        with pytest.raises(SpecError, match=r"max_length: 3: even a short conversation has \d+ tokens; raise it"):
            make("tokenized", {"tokenizer": folders["smollm"], "max_length": 3}).ready()

    @pytest.mark.parametrize("name", ["./students/mine", "/no/such/folder", "a/b/c", "~/nowhere"])
    def test_no_such_folder(self, name: str):
        """A path that leads nowhere isn't looked for on the Hub."""
        with pytest.raises(SpecError, match=f"tokenizer: {name}: no such folder"):
            make("tokenized", {"tokenizer": name}).ready()

    def test_not_to_be_had(self, monkeypatch: pytest.MonkeyPatch):
        """Neither is a name that the Hub doesn't give: one line."""
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(SetupError, match=r"nobody/none is no local folder, and can't be had from the Hub: ") as caught:
            make("tokenized", {"tokenizer": "nobody/none"}).ready()
        assert "\n" not in str(caught.value)

    def test_without_a_network(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
        """Where the Hub can't be reached it is asked once, and one line says so: not a warning for each of a minute's tries."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}")
        monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it is asked again"))
        with pytest.raises(SetupError, match=r"nope is no local folder, and can't be had from the Hub: .*refused"):
            make("tokenized", {"tokenizer": "nope"}).ready()
        assert caplog.records == []

    def test_no_tokenizer_in_it(self, tmp_path: Path):
        """A folder without a tokenizer says what it lacks; one with a tokenizer that is none is one line, too."""
        with pytest.raises(SetupError, match=r"has no tokenizer\.json, by which texts and tokens are matched"):
            make("tokenized", {"tokenizer": str(tmp_path)}).ready()
        (tmp_path / "tokenizer.json").write_text("{}")
        with pytest.raises(SetupError, match="can't be read: ") as caught:
            make("tokenized", {"tokenizer": str(tmp_path)}).ready()
        assert "\n" not in str(caught.value)

    def test_no_template(self, folders: dict[str, str], tmp_path: Path):
        """A base model's tokenizer has no chat template, and says how it may get one; one that isn't there is named."""
        with pytest.raises(SpecError, match="has no chat template; name a file of one with `chat_template`"):
            make("tokenized", {"tokenizer": folders["none"]}).ready()
        with pytest.raises(SpecError, match=r"chat_template: .*none\.jinja: No such file"):
            make("tokenized", {"tokenizer": folders["none"], "chat_template": str(tmp_path / "none.jinja")}).ready()

    def test_without_transformers(self, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch):
        """Who hasn't installed the extra is told to."""
        chat._loaded.cache_clear()
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(SetupError, match=r"pip install 'stillhouse\[tokenize\]'"):
            make("tokenized", {"tokenizer": folders["smollm"]}).ready()
