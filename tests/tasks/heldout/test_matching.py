"""Matching: what of a held-out item is found in a text, and what is no evidence."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.heldout import blocks
from tasks.heldout.blocks import Text
from tasks.heldout.index import COMMON, make_index
from tasks.heldout.matching import Matching
from tasks.words import hash_words
from tests.tasks.benchmarks import found, heldout, look, prose

CLIPS = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
PLANTED: dict[str, Callable[[str], str]] = {
    "verbatim": lambda text: text,
    "in capitals": str.upper,
    "wrapped and quoted": lambda text: re.sub(r" (\w+ \w+)", r"\n> \1", text),
    "without punctuation": lambda text: re.sub(r"[.,?]", "", text),
    "in full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "0" < c < "z" else c for c in text),
    "inside a long text": lambda text: f"{prose(1, 400)} {text} {prose(2, 400)}",
    "a word changed in 20": lambda text: text.replace("sold half", "gave half"),
    "a word left out": lambda text: text.replace("then she", "she"),
    "a word put in": lambda text: text.replace("How many clips", "How many hair clips"),
    "its last 13 words": lambda text: " ".join(text.split()[-13:]),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize("where", ["prompt", "response"])
def test_found(planted: Callable[[str], str], where: str):
    """An item is found however it is written, wherever it stands, and where few of its words are others."""
    assert found(heldout(prose(3, 30), CLIPS), [prose(4, 60), planted(CLIPS)], where=where) == [(1, 1)]


CLEAN = {
    "its last 12 words": " ".join(CLIPS.split()[-12:]),
    "the answer": "72",
    "an answer in words": "The answer is 72 clips altogether.",
    "its words in another order": " ".join(sorted(CLIPS.split())),
    "every third word changed": " ".join("other" if n % 3 == 0 else word for n, word in enumerate(CLIPS.split())),
    "nothing": "",
    "marks alone": "…!?",
}


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_not_found(text: str):
    """What has little of an item in it isn't contaminated; an answer alone never is."""
    assert found(heldout((CLIPS, "72"), prose(3, 30)), [text]) == []


def test_what_is_told():
    """A hit says how much is the same and quotes it, shortened."""
    (hit,) = look(heldout(CLIPS), [f"Hello. {CLIPS} Bye."])
    assert (hit.how, hit.share) == ("31 words in a row", 1.0)
    assert hit.overlap.startswith("natalia sold clips to 48 of her friends")
    assert len(hit.overlap) == blocks.SHOWN
    (hit,) = look(heldout(CLIPS), [PLANTED["a word changed in 20"](CLIPS)])
    assert (hit.how, hit.overlap.split(" ")[:2]) == (
        "30 words in their order",
        ["natalia", "sold"],
    ) or "words in a row" in hit.how


@settings(max_examples=30, deadline=None)
@given(st.integers(13, 60), st.randoms(use_true_random=False))
def test_one_word_in_ten_may_be_another(length: int, rng: random.Random):
    """However the changes fall, an item of 13 words or more is found with nine in ten of them."""
    words = prose(length, length).split()
    for place in rng.sample(range(length), length // 10):
        words[place] = "changed"
    text = f"{prose(1, 30)} {' '.join(words)} {prose(2, 30)}"
    assert found(heldout(prose(length, length)), [text]) == [(0, 0)]


@settings(max_examples=50, deadline=None)
@given(*[st.lists(st.sampled_from("abcd"), min_size=1, max_size=30)] * 2)
def test_words_in_order(item: list[str], text: list[str]):
    """It is the longest common subsequence."""
    index = make_index(heldout(" ".join(item)))
    table = [[0] * (len(text) + 1) for _ in range(len(item) + 1)]
    for i, left in enumerate(item):
        for j, right in enumerate(text):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    assert index.in_order(0, hash_words(" ".join(text))) == table[-1][-1]


def test_options():
    """Fewer words in a row may count, more may be needed, and what is nearly the same may be left alone."""
    eight = " ".join(CLIPS.split()[-8:])
    assert found(heldout(CLIPS, ngram=8), [eight]) == [(0, 0)]
    changed = " ".join("other" if n % 12 == 5 else word for n, word in enumerate(CLIPS.split()))
    assert found(heldout(CLIPS), [changed]) == [(0, 0)]
    assert found(heldout(CLIPS, near=False), [changed]) == []
    assert found(heldout(CLIPS, near=1), [changed]) == []


FRANCE = "What is the capital of France?"


@pytest.mark.parametrize(
    "text",
    [FRANCE, f"Answer in one word. {FRANCE.upper()}", f"{prose(1, 300)} what is THE capital\nof France {prose(2, 300)}"],
    ids=["alone", "behind an instruction", "inside a long text"],
)
def test_few_words(text: str):
    """An item with fewer than 13 words is found by its characters."""
    hits = look(heldout(FRANCE, "What is the capital of Finland?"), [text])
    assert {(hit.key, hit.item) for hit in hits} == {(0, 0)}


@pytest.mark.parametrize(
    "text", ["What is the capital of Malta?", "What is the capital of Spain?", "The capital of France is Paris.", "France"]
)
def test_few_other_words(text: str):
    """Another question of the same form isn't it."""
    assert found(heldout(FRANCE), [text]) == []


def test_another_number_is_another_question():
    """Of few words, a number is most of what they ask."""
    held = heldout("A train travels 60 miles in 2 hours; what is its speed?")
    assert found(held, ["A train travels 60 miles in 3 hours; what is its speed?"]) == []
    assert found(held, ["A train travels 60 miles in 2 hours - what is its speed"]) == [(0, 0)]


@pytest.mark.parametrize("item", ["What is 17 - 3?", "How many boxes are left, if 17 - 3 of them are?"])
@pytest.mark.parametrize("sign", ["+", "*", "/"])
def test_another_sign_is_another_question(item: str, sign: str):
    """So is how numbers are reckoned with; another form of the same sign makes no difference."""
    held = heldout(item)
    assert found(held, [item.replace("-", sign)]) == []
    for same in ("17-3", "17 \N{MINUS SIGN} 3", "17 minus 3", "17 -\n3"):
        assert found(held, [item.replace("17 - 3", same)]) == [(0, 0)]


@pytest.mark.parametrize("item", ["42", "2 + 2 = ?", "Why is it so?", "Define entropy."])
def test_next_to_nothing(item: str):
    """What says too little to be looked for in texts is found where it is a whole prompt, and nowhere else."""
    held = heldout(item)
    assert found(held, [item, f"{item} {prose(1, 20)}", f"The answer is {item}"]) == [(0, 0)]
    assert found(held, [item], where="response") == []


INSTRUCTION = (
    "Answer the following multiple choice question and end with a line that names the letter of your answer and nothing else. "
)


def test_an_instruction_is_no_evidence():
    """Words that many items begin with are a form of words: what a dataset's own prompts have of it counts for nothing."""
    held = heldout(*[INSTRUCTION + prose(n, 20) for n in range(20)])
    clean = [INSTRUCTION + prose(f"clean {n}", 20) for n in range(50)]
    assert found(held, [*clean, INSTRUCTION + prose(7, 20)]) == [(50, 7)]


def test_an_instruction_of_a_small_benchmark():
    """It is told by a fifth of a small benchmark's items, too, and what is left of them may be few words."""
    asked = (
        "What is the capital of Malta?",
        "Who painted the Mona Lisa?",
        "When did the first train run?",
        "How deep is the sea?",
    )
    held = heldout(*[INSTRUCTION + question for question in asked])
    assert found(held, [INSTRUCTION + "Who wrote the play about Hamlet?", "Tell me: what is the capital of Malta?"]) == [(1, 0)]


def test_an_instruction_of_the_dataset():
    """Where one item has the dataset's own instruction in it, more than ten prompts that have it show what it is."""
    held = heldout(INSTRUCTION + prose("item", 40))
    clean = [INSTRUCTION + prose(f"clean {n}", 40) for n in range(COMMON + 1)]
    assert found(held, clean[:COMMON]) == [(n, 0) for n in range(COMMON)]
    assert found(held, clean) == []
    assert found(held, [*clean, INSTRUCTION + prose("item", 40)]) == [(COMMON + 1, 0)]


def test_what_leaked_often_is_still_found():
    """An item that stands in many prompts is no form of words: all of it is there."""
    assert len(found(heldout(CLIPS), [f"{CLIPS} {prose(n, 20)}" for n in range(3 * COMMON)])) == 3 * COMMON


def test_the_same_template_with_other_numbers():
    """Problems of one template are other problems where many prompts have its other numbers, and suspect where few do."""
    template = "A box holds {} pears and {} plums, and a farmer fills it every single morning: how many fruits has he had by the tenth day?"
    held = heldout(template.format(11, 12))
    others = [template.format(n, n + 30) for n in range(13, 13 + COMMON + 1)]
    assert found(held, others[:2]) == [(0, 0), (1, 0)]
    assert found(held, others) == []
    assert found(held, [*others, template.format(11, 12)])[-1] == (COMMON + 1, 0)


def test_an_item_that_stands_twice():
    """The same item in several benchmarks is one item, and no form of words."""
    held = heldout(*[CLIPS] * (2 * COMMON))
    assert {item for _, item in found(held, [CLIPS])} == set(range(2 * COMMON))


def test_long_answers_count():
    """A worked answer is found where it has as many words as count."""
    worked = prose("worked", 20)
    held = heldout(("What?", worked), ("Why?", prose("short", 12)))
    assert found(held, [f"Well: {worked}", prose("short", 12)], where="response") == [(0, 0)]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(40)))
def test_order_makes_no_difference(order: list[int]):
    """The same texts in another order have the same hits."""
    held = heldout(INSTRUCTION + prose("item", 40), CLIPS, FRANCE)
    texts = [INSTRUCTION + prose(f"clean {n}", 40) for n in range(COMMON - 1)]
    texts += [f"{prose(n, 5)} {INSTRUCTION}" for n in range(10)]
    texts += [prose(n, 50) for n in range(38 - len(texts))] + [CLIPS, FRANCE]
    index = make_index(held)

    def keyed(numbers: list[int]) -> set[tuple[object, ...]]:
        matching = Matching(index=index)
        given_ = [Text(key=n, prompt=n, where="prompt", text=texts[n], whole=True) for n in numbers]
        return {(hit.key, hit.item, hit.how, hit.overlap) for hit in [*matching.find(given_), *matching.finish()]}

    assert keyed(order) == keyed(list(range(40)))


def test_small_blocks(monkeypatch: pytest.MonkeyPatch):
    """Nor does it make any how many texts are looked at together; nothing is found across two of them."""
    half = len(CLIPS) // 2
    texts = [CLIPS[:half], CLIPS[half:], prose(1, 50), CLIPS, prose(2, 50) + FRANCE]
    held = heldout(CLIPS, FRANCE)
    whole = found(held, texts)
    monkeypatch.setattr(blocks, "BLOCK_CHARS", 100)
    assert found(held, texts) == whole
    assert (3, 0) in whole
    assert (4, 1) in whole


def test_nothing_is_held_out():
    """A benchmark may have no item that can be found."""
    assert look(heldout(), [CLIPS]) == []
    assert look(heldout("…"), [CLIPS, "…"]) == []
