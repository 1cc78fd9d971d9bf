"""The prompts in an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.growth.parsing import Item, items

FOUND = {
    "a list": ('["One?", "Two?"]', ["One?", "Two?"]),
    "in a block, with talk around": ('Sure! Here you are [as asked]:\n```json\n["One?"]\n```\nEnjoy!', ["One?"]),
    "line breaks as they are": ('["One\n\nof two [2] paragraphs?"]', ["One\n\nof two [2] paragraphs?"]),
    "objects": ('[{"id": 1, "question": "One?"}, {"prompt": "Two?"}]', ["One?", "Two?"]),
    "a list in an object": ('{"prompts": ["One?"]}', ["One?"]),
    "a bare text": ('```\n"One \\"and\\" only?"\n```', ['One "and" only?']),
    "numbered": ("Here:\n1. One?\n2) Two?\n3: Three?", ["One?", "Two?", "Three?"]),
    "numbered, in bold": ("**1.** One?\n\n**Prompt 2:** Two?\n\n### 3. Three?", ["One?", "Two?", "Three?"]),
    "numbered, of several lines": (
        "1. Write code:\n   5. is odd\n- keep it short\n\nand in C.\n2. Two?",
        ["Write code:\n   5. is odd\n- keep it short\n\nand in C.", "Two?"],
    ),
    "numbered, of more than were asked for": ("1. a\n2. b\n3. c\n4. d\n5. e\n6. f", []),
    "neither": ("I would ask: what is one?", []),
    "numbers alone": ("[1, 2, 3]", []),
    "a list that begins with 2": ("2. Two?\n3. Three?", []),
    "empty": ("", []),
    "an empty list": ("[]", []),
}


@pytest.mark.parametrize(("answer", "texts"), FOUND.values(), ids=FOUND)
def test_items(answer: str, texts: list[str]):
    """Both forms are read, whatever stands around them; what has neither has no prompts."""
    assert items(answer, count=5, cut_off=False) == [Item(text) for text in texts]


def test_cut_off():
    """Of what was cut off, the last prompt isn't whole, and the others are."""
    assert items('["One?", {"prompt": "Two?"}, "And thr', count=5, cut_off=True) == [
        Item("One?"),
        Item("Two?"),
        Item("And thr", ends=False),
    ]
    assert items("1. One?\n2. And tw", count=5, cut_off=True) == [Item("One?"), Item("And tw", ends=False)]
    assert items('["One?"]', count=5, cut_off=True) == [Item("One?")]


def test_no_guess_where_a_prompt_ends():
    """A paragraph behind the last entry of a numbered list may be a remark or a part of it: nobody says which."""
    found = items("1. One?\n2. Two:\n\nLet me know what you think!", count=5, cut_off=False)
    assert [each.ends for each in found] == [True, False]
    assert items("1. One?\n2. Two:\n\n    x = 1", count=5, cut_off=False)[1].ends


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_any_list_is_read(texts: list[str]):
    """Whatever the texts are, a JSON list of them is read as it is."""
    assert [each.text for each in items(json.dumps(texts), count=5, cut_off=False)] == [text.strip() for text in texts]


@given(st.text(alphabet='[]{}",1.: \nab'))
def test_nothing_breaks_it(answer: str):
    """Any text at all has some prompts or none."""
    assert all(isinstance(each.text, str) for each in items(answer, count=5, cut_off=False))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("answer", ["[" * 200_000, '["' * 100_000, "1. " + "\n\n" * 200_000, '[{"a":' * 50_000])
def test_hostile_answers_are_quick(answer: str):
    """An answer of nothing but brackets, quotes or breaks takes no longer than any other."""
    items(answer, count=5, cut_off=False)
