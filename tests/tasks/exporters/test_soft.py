"""Soft labels beside a student's tokens, by real tokenizers: rows are those of `tokenized`, with what the teacher gave to each."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from storage.errors import SpecError
from storage.logprobs import packed, unpacked
from tasks.exporters import protocol, soft
from tasks.exporters.chat import vocabulary_of
from tasks.exporters.distillkit import FILLER, Codec, CodecOptions
from tasks.exporters.making import make
from tasks.teachers.distribution import read
from tasks.teachers.embedded import MODEL, EmbeddedServer
from tasks.teachers.weights import revision
from tests.tasks.exporters import students
from tests.tasks.exporters.distributions import drawn
from tests.tasks.exporters.tokenizing import decode, loaded
from tests.tasks.exporters.tokenizing import rows as plain_rows
from tests.tasks.exporters.traces import make_trace
from tests.tasks.teachers.test_embedded import ask

RESPONSE = "It is four: Grüße 🙂\n\n```x = 4```"
OTHERS = [("small", "smollm"), ("smollm", "small"), ("smollm", "pieces"), ("pieces", "smollm"), ("thinking", "smollm")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make the tokenizers."""
    root = tmp_path_factory.mktemp("students")
    return {
        "small": students.small(root / "small"),
        "thinking": students.small(root / "thinking", students.THINKING),
        "no end": students.small(
            root / "no-end", "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + ' ' }}{% endfor %}"
        ),
        "pieces": students.sentencepiece(root / "pieces"),
        "smollm": students.smollm(root / "smollm"),
    }


def answer(folder: str, text: str = RESPONSE, *, end: bool = True, top: int = 5, n: int = 0, **how: Any) -> dict[str, Any]:
    """Return a trace with what a teacher of this tokenizer says of its own tokens."""
    tokenizer = loaded(folder)
    tokens = tokenizer.encode(text, add_special_tokens=False) + [tokenizer.eos_token_id] * end
    return make_trace(n, response=text) | {"logprobs": drawn(vocabulary_of(folder).tokens, tokens, top=top, seed=n, **how)}


def rows(folder: str, *traces: dict[str, Any], **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return rows, which must be as the schema says, and facts."""
    made = make("soft", {"tokenizer": folder} | options)
    found = list(made.rows(traces))
    assert pa.RecordBatch.from_pylist(found, schema=made.schema).num_rows == len(found)
    assert all(row.keys() == set(made.schema.names) for row in found)
    return found, dict(protocol.facts(made))


def has(row: dict[str, Any]) -> list[bool]:
    """Return which tokens have a distribution."""
    return [each is not None and len(each) > 0 for each in row["top_ids"]]


@pytest.mark.parametrize("name", ["small", "smollm", "pieces"])
@pytest.mark.parametrize("how", [{}, {"ids": False}, {"spell": False}], ids=["ids and bytes", "bytes", "ids"])
def test_one_vocabulary(folders: dict[str, str], name: str, how: dict[str, bool]):
    """Each token that is learnt has what the teacher said there, by ids or by bytes; nothing else has."""
    trace = answer(folders[name], **how)
    (row,), told = rows(folders[name], trace, logprobs="float32")
    (plain,) = plain_rows(folders[name], make_trace(response=RESPONSE))
    assert {key: row[key] for key in plain} == plain
    ours = [label for label in row["labels"] if label != -100]
    given = trace["logprobs"]["ids"].as_py() if how.get("ids", True) else ours
    # Behind a special token, SentencePiece puts no space where it would put one before a text.
    if given == ours:
        assert has(row) == [label != -100 for label in row["labels"]]
        assert told["unaligned_tokens"] == 0
    for label, ids, logprobs, rest in zip(row["labels"], row["top_ids"], row["top_logprobs"], row["rest"], strict=True):
        if ids is not None and len(ids):
            assert label in ids
            assert np.all(np.diff(logprobs) <= 0)
            assert len(set(ids)) == len(ids)
            assert np.exp(logprobs).sum() + rest == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_no_more_than_all(folders: dict[str, str], kind: str):
    """Half precision makes more than 1 of some distributions in the lake; a student gets none such."""
    traces = [answer(folders["smollm"], n=n, top=20, mass=1.0) for n in range(30)]
    stored = [each["logprobs"].as_py() for each in traces]
    masses = [
        np.exp(np.array(values, np.float64)).sum()
        for each in stored
        for values in np.split(np.array(each["top_logprobs"]), np.cumsum(each["counts"])[:-1])
    ]
    assert max(masses) > 1
    found, _ = rows(folders["smollm"], *traces, logprobs=kind)
    learnt = [
        np.array(values, np.float64) for row in found for values in row["top_logprobs"] if values is not None and len(values)
    ]
    assert max(np.exp(values).sum() for values in learnt) <= 1
    assert max(np.exp(values).sum() for values in learnt) > 0.999


@pytest.mark.parametrize("end", [True, False], ids=["drawn with its end", "cut off"])
def test_cut_off(folders: dict[str, str], end: bool):
    """Of a response that was broken off, what is learnt is each of its tokens, and no end, whatever a scorer made of one."""
    trace = answer(folders["smollm"], end=end) | {"finish_reason": "length"}
    (row,), told = rows(folders["smollm"], trace)
    (whole,), _ = rows(folders["smollm"], answer(folders["smollm"]))
    assert row["input_ids"] == whole["input_ids"][: row["length"]]
    assert has(row) == [label != -100 for label in row["labels"]]
    assert decode(folders["smollm"], [label for label in row["labels"] if label != -100]) == RESPONSE
    assert (told["cut_off"], told["unaligned_tokens"]) == (1, 0)


def test_the_probabilities_are_the_teachers(folders: dict[str, str]):
    """At one vocabulary, alternatives and probabilities are those of the lake, in their order."""
    trace = answer(folders["smollm"])
    (row,), _ = rows(folders["smollm"], trace, logprobs="float32")
    stored = trace["logprobs"].as_py()
    at = 0
    learnt = [place for place, label in enumerate(row["labels"]) if label != -100]
    for place, count, own in zip(learnt, stored["counts"], stored["logprobs"], strict=True):
        ids, values = stored["top_ids"][at : at + count], stored["top_logprobs"][at : at + count]
        expected = dict(zip(ids, values, strict=True)) | {row["labels"][place]: own}
        assert dict(zip(row["top_ids"][place].tolist(), row["top_logprobs"][place].tolist(), strict=True)) == pytest.approx(
            expected
        )
        at += count


@pytest.mark.parametrize(("teacher", "student"), OTHERS)
@pytest.mark.parametrize("how", [{"ids": False}, {"spell": False}], ids=["bytes", "ids"])
def test_another_vocabulary(folders: dict[str, str], teacher: str, student: str, how: dict[str, bool]):
    """Tokens of the same bytes have a distribution over the student's tokens, and all others are counted, by bytes or by ids."""
    trace = answer(folders[teacher], **how)
    (row,), told = rows(folders[student], trace, teacher_tokenizer=folders[teacher], min_aligned=0)
    ours, theirs = (vocabulary_of(folders[name]).tokens for name in (student, teacher))
    names = {ours[each] for each in range(len(ours))} & {theirs[each] for each in range(len(theirs))}
    aligned = 0
    for label, ids, logprobs in zip(row["labels"], row["top_ids"], row["top_logprobs"], strict=True):
        if ids is not None and len(ids):
            aligned += 1
            assert label in ids
            assert all(ours[each] in names | {ours[label]} for each in ids)
            assert np.exp(logprobs.astype(np.float64)).sum() <= 1.001
    assert 0 < aligned == told["aligned_tokens"]
    assert aligned + told["unaligned_tokens"] == told["trained_tokens"]
    assert has(row)[row["labels"].index(loaded(folders[student]).eos_token_id)]


def test_the_facts(folders: dict[str, str]):
    """The manifest says how many tokens have a distribution, what is left outside, and by what vocabularies were matched."""
    bare = make_trace(1, response="It is.") | {"logprobs": None}
    mixed = make_trace(2, teacher=None, model=None)
    _, told = rows(folders["smollm"], answer(folders["smollm"]), bare, mixed, min_aligned=0)
    assert told["traces_by"] == {"ids": 1, "bytes": 0, "no_distributions": 1, "unknown_ids": 0, "other_text": 0}
    assert told["traces"] == 3
    assert 0 < told["mean_rest"] < 0.2
    assert told["alternatives"] >= 5 * told["aligned_tokens"]
    assert told["vocabulary_sha256"] == vocabulary_of(folders["smollm"]).sha256


def test_every_row_says_whose(folders: dict[str, str]):
    """The tokenizer by its checksum, models and revisions, and how long the prompt is."""
    (row,), told = rows(folders["smollm"], answer(folders["smollm"]), student_revision="abc", teacher_revision="def")
    assert row["prompt_length"] == next(place for place, label in enumerate(row["labels"]) if label != -100)
    assert (row["student"], row["student_revision"], row["teacher_revision"], row["scorer"]) == ("smollm", "abc", "def", None)
    assert (row["tokenizer_sha256"], row["model"], row["license"]) == (told["tokenizer_sha256"], "m-1", "MIT")


class TestRevisions:
    """Which revisions of student and teacher a row is of."""

    @pytest.mark.parametrize("layout", ["lists", "distillkit"])
    def test_found(self, folders: dict[str, str], layout: str):
        """A student's folder is told by its content; each row has its own teacher's, and what people wrote has none."""
        given = [answer(folders["smollm"], n=n) | {"teacher": who, "revision": f"r-{who}"} for n, who in enumerate("ab")]
        made = make("soft", {"tokenizer": folders["smollm"], "layout": layout})
        found = list(made.rows([*given, make_trace(2, teacher=None, model=None)]))
        assert [row["teacher_revision"] for row in found] == ["r-a", "r-b", None]
        assert {row["student_revision"] for row in found} == {revision(Path(folders["smollm"]))}
        assert protocol.caveats(made) == []

    def test_packed(self, folders: dict[str, str]):
        """Where a row has several conversations, it has a teacher's revision for each, as it has their teachers."""
        traces = [answer(folders["smollm"], n=n) | {"revision": f"r{n}"} for n in range(3)]
        (row,), _ = rows(folders["smollm"], *traces, packing=True, max_length=512)
        assert row["teacher_revision"] == [f"r{each.removeprefix('s')}" for each in row["sample_id"]]
        assert len(row["teacher_revision"]) == 3

    def test_unknown(self, folders: dict[str, str]):
        """Null, and said once of each teacher, whatever the number of rows."""
        made = make("soft", {"tokenizer": folders["smollm"]})
        found = list(made.rows([answer(folders["smollm"], n=n) for n in range(3)]))
        assert {row["teacher_revision"] for row in found} == {None}
        (line,) = protocol.caveats(made)
        assert line.startswith("soft: the revision of smol (m-1) is unknown")

    def test_of_a_scorer(self, folders: dict[str, str]):
        """A row that the scorer gave nothing to says nothing of it, and isn't counted as unknown."""
        made = make("soft", {"tokenizer": folders["smollm"], "scores": "big", "min_aligned": 0})
        scored = answer(folders["smollm"]) | {"revision": "r1"}
        found = list(made.rows([scored, make_trace(1, response="It is.") | {"logprobs": None}]))
        assert [row["teacher_revision"] for row in found] == ["r1", None]
        assert protocol.caveats(made) == []

    def test_of_the_hub(self, folders: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A student of the Hub is told by the commit that its cache resolved."""
        commit = "0123456789abcdef0123456789abcdef01234567"
        repository = tmp_path / "models--org--student"
        shutil.copytree(folders["smollm"], repository / "snapshots" / commit)
        (repository / "snapshots" / commit / "config.json").write_text("{}")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(commit)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        made = make("soft", {"tokenizer": "org/student"})
        (row,) = made.rows([answer(folders["smollm"])])
        assert (row["student"], row["student_revision"]) == ("org/student", commit)
        (repository / "refs" / "main").unlink()
        (row,) = made.rows([answer(folders["smollm"]) | {"revision": "r"}])
        assert row["student_revision"] is None
        (line,) = protocol.caveats(made)
        assert line.startswith("soft: the revision of org/student is unknown")


class TestRefused:
    """An export that would teach next to nothing."""

    def test_without_distributions(self, folders: dict[str, str]):
        """A lake without any says how to get some."""
        bare = make_trace(1, response="It is.") | {"logprobs": None}
        with pytest.raises(
            SpecError, match=r"only 0.0% of .* asks for 50%: of 1 trace, 1 have no distributions \(draw with `sampl"
        ):
            rows(folders["smollm"], bare)

    def test_ids_of_another_vocabulary(self, folders: dict[str, str]):
        """Ids alone want the teacher's tokenizer."""
        with pytest.raises(SpecError, match=r"name .* `teacher_tokenizer`"):
            rows(folders["small"], answer(folders["smollm"], spell=False))

    def test_little_in_common(self, folders: dict[str, str]):
        """Tokenizers that cut texts in other places say so."""
        trace = answer(folders["small"], ids=False)
        with pytest.raises(SpecError, match="the two tokenizers cut texts in different places"):
            rows(folders["smollm"], trace, min_aligned=0.99)

    def test_soon(self, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch):
        """Where the first traces have nothing at all, nobody waits for the others."""
        monkeypatch.setattr(soft, "BATCH", 2)
        seen = []
        with pytest.raises(SpecError, match="of 2 traces, 2 have no dist"):
            rows(folders["smollm"], *(seen.append(n) or make_trace(n) | {"logprobs": None} for n in range(300)))

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"codec": {"k": 2, "exact_k": 2}}, "codec: is of `layout: distillkit`"),
            ({"layout": "distillkit", "position_ids": True}, "has none"),
            ({"layout": "distillkit", "codec": {"k": 2, "exact_k": 1}}, "codec.*need polynomial_terms"),
            ({"min_aligned": 2}, "min_aligned"),
        ],
    )
    def test_options(self, options: dict[str, Any], said: str):
        """Options that don't go together are refused before anything is read."""
        with pytest.raises(SpecError, match=said):
            make("soft", {"tokenizer": "x"} | options)


def test_cut_and_packed(folders: dict[str, str]):
    """What is truncated or packed keeps each distribution at its token."""
    traces = [answer(folders["smollm"], f"It is {n}, and {n} more.", n=n) for n in range(4)]
    single, _ = rows(folders["smollm"], *traces)
    (row,), _ = rows(folders["smollm"], *traces, packing=True, max_length=300)
    assert row["prompt_length"] == [each["prompt_length"] for each in single]
    assert has(row) == [each for one in single for each in has(one)]
    assert row["license"] == "MIT"
    whole = single[0]
    (short,), told = rows(folders["smollm"], traces[0], max_length=whole["length"] - 5, too_long="truncate")
    assert has(short) == has(whole)[:-5]
    assert told["aligned_tokens"] == sum(has(short))


def test_reasoning(folders: dict[str, str]):
    """Reasoning that is learnt has distributions where the server gave them, and none where it is left out of the row."""
    thought, said = "Think of 0.", "It is 0."
    trace = answer(folders["thinking"], f"<think>\n{thought}\n</think>\n\n{said}") | {"reasoning": thought, "response": said}
    (row,), told = rows(folders["thinking"], trace, reasoning="turn")
    assert told["unaligned_tokens"] == 0
    assert sum(has(row)) == sum(label != -100 for label in row["labels"])
    (bare,), _ = rows(folders["thinking"], trace)
    assert sum(has(bare)) == sum(label != -100 for label in bare["labels"]) < sum(has(row))


def test_no_end_of_turn(folders: dict[str, str]):
    """Where the template ends turns with no token, the student's own end takes the teacher's."""
    (row,), _ = rows(folders["no end"], answer(folders["smollm"], "It is four."), min_aligned=0)
    assert row["input_ids"][-1] == loaded(folders["no end"]).eos_token_id
    assert has(row)[-1]


class TestDistillKit:
    """The layout of DistillKit."""

    @pytest.mark.parametrize("packing", [False, True], ids=["rows", "packed"])
    def test_a_token_before(self, folders: dict[str, str], packing: bool):
        """What is read back at a token is what `lists` has at the one behind it, and a label says where there is one."""
        traces = [answer(folders["smollm"], f"It is {n}, and {n} more.", n=n) for n in range(2)]
        packed: dict[str, Any] = {"packing": True, "max_length": 150} if packing else {}
        lists, _ = rows(folders["smollm"], *traces, **packed, logprobs="float32")
        made = make("soft", {"tokenizer": folders["smollm"], "layout": "distillkit"} | packed)
        found = list(made.rows(traces))
        told = protocol.facts(made)["codec"]
        assert yaml.safe_load(protocol.documents(made)[soft.CONFIG]) == told
        size = vocabulary_of(folders["smollm"]).size
        codec = Codec(options=CodecOptions(k=5, exact_k=5, exact_dtype="float16"), size=size)
        assert told == codec.config()
        for row, other in zip(found, lists, strict=True):
            width = len(row["input_ids"])
            assert width == (150 if packing else len(other["input_ids"]))
            assert len(row["labels"]) == len(row["compressed_logprobs"]) == len(row["bytepacked_indices"]) == width
            ids, values = codec.decode(np.stack(row["compressed_logprobs"]), np.stack(row["bytepacked_indices"]))
            assert all(len(set(each)) == 5 for each in ids.tolist())
            for place, label in enumerate(row["labels"]):
                behind = other["top_ids"][place + 1] if place + 1 < len(other["top_ids"]) else None
                if behind is None:
                    assert (label, np.all(values[place] == FILLER)) == (-100, True)
                    continue
                assert label == other["labels"][place]
                assert ids[place].tolist()[: len(behind)] == behind.tolist()[:5]
                assert np.allclose(values[place], other["top_logprobs"][place + 1][:5], rtol=1e-3)

    def test_the_budget_pick(self, folders: dict[str, str]):
        """With fifty alternatives a polynomial is fitted, and its row takes the 114 bytes a token that its authors say."""
        made = make("soft", {"tokenizer": folders["smollm"], "layout": "distillkit"})
        (row,) = made.rows([answer(folders["smollm"], top=60)])
        assert len(row["compressed_logprobs"][0]) + len(row["bytepacked_indices"][0]) == 114
        assert protocol.facts(made)["thin_tokens"] == 0
        assert 0 < protocol.facts(made)["mean_moved"] < 0.2

    def test_too_few_for_a_polynomial(self, folders: dict[str, str]):
        """A token with fewer alternatives than a polynomial is of has none, is counted, and isn't learnt."""
        codec = {"k": 9, "exact_k": 1, "polynomial_terms": [0, 1]}
        made = make("soft", {"tokenizer": folders["smollm"], "layout": "distillkit", "codec": codec})
        (row,) = made.rows([answer(folders["smollm"], top=5)])
        assert set(row["labels"]) == {-100}
        told = protocol.facts(made)
        assert told["thin_tokens"] == told["aligned_tokens"]


def test_a_teacher_of_one_family(folders: dict[str, str], tmp_path: Path):
    """A vocabulary of the same tokens in another order is matched by bytes, each and every one."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(Path(folders["small"]) / "tokenizer.json"))
    described = yaml.safe_load(backend.to_str())
    names = sorted(described["model"]["vocab"], key=lambda each: described["model"]["vocab"][each])
    specials = [each["content"] for each in described["added_tokens"]]
    turned = [*specials, *reversed([each for each in names if each not in specials])]
    described["model"]["vocab"] = {each: number for number, each in enumerate(turned)}
    import json

    other = students.save(Tokenizer.from_str(json.dumps(described)), tmp_path / "other", students.CHATML)
    trace = answer(other, spell=False)
    (row,), told = rows(folders["small"], trace, teacher_tokenizer=other)
    assert told["unaligned_tokens"] == 0
    assert sum(map(len, filter(lambda each: each is not None, row["top_ids"]))) == told["alternatives"]
    assert dataclasses.is_dataclass(make("soft", {"tokenizer": other}))


@pytest.mark.model
async def test_a_real_teacher(folders: dict[str, str]):
    """What llama.cpp says of its own tokens stands at the same tokens of the student: its probabilities, a mass of 1 at most."""
    question = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Tell me about a river."}],
        "max_tokens": 16,
        "temperature": 0,  # of another answer, no token may be one of both vocabularies
        "logprobs": True,
        "top_logprobs": 5,
    }
    async with EmbeddedServer(slots=1, context=256, threads=1) as server:
        status, told = await ask(server.base_url, **question)
    assert status == 200
    (choice,) = told["choices"]
    content = choice["logprobs"]["content"]
    trace = make_trace(response=choice["message"]["content"]) | {"logprobs": unpacked(packed(read(content)))[0]}
    (row,), facts = rows(folders["smollm"], trace, logprobs="float32")
    learnt = [place for place, label in enumerate(row["labels"]) if label != -100]
    assert facts["traces_by"]["ids"] == 1
    assert facts["aligned_tokens"] >= len(content) - 1  # the first token may have a space that the response hasn't
    for place, given in list(zip(learnt, content, strict=False))[: facts["aligned_tokens"]]:
        ids, logprobs = row["top_ids"][place].tolist(), row["top_logprobs"][place].tolist()
        assert row["labels"][place] == given["id"]
        assert logprobs[ids.index(given["id"])] == pytest.approx(given["logprob"], abs=1e-4)
        assert np.exp(logprobs).sum() <= 1 + 2e-3  # alternatives are stored in half precision
        assert np.exp(logprobs).sum() + row["rest"][place] == pytest.approx(1, abs=2e-3)
    (other,), facts = rows(folders["pieces"], trace, min_aligned=0)
    assert facts["traces_by"]["bytes"] == 1
    assert 0 < sum(has(other)) == facts["aligned_tokens"]
