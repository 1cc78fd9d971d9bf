"""Style is not skill: what is written how, and what that tells of acceptance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measures.style import HABITS, Length, Style, found, guess, quantiles, sentence

EXAMPLES = {
    "opening": [
        "Certainly! 4",
        "Sure, 4",
        "  Great question. 4",
        "Let's break this down",
        "Here are the steps",
        "I'd be happy to help",
    ],
    "closing": [
        "4. I hope this helps!",
        "Let me know if you want more",
        "If you have any further questions, ask",
        "Overall, it is 4",
    ],
    "hedge": ["It is perhaps 4", "I think so", "It's important to note that", "As an AI language model"],
    "list": ["- one", "x\n  * two", "• three"],
    "numbered_list": ["1. one", "x\n 2) two"],
    "heading": ["# Title", "x\n### Step"],
    "bold": ["it is **4**", "__this__"],
    "code": ["```python\nx\n```", "x\n~~~\n"],
    "table": ["| a | b |\n|---|---|"],
    "latex": [r"\boxed{4}", r"\(x\)", r"so $\frac{1}{2}$ is", "$$x$$"],
    "emoji": ["done \U0001f389", "✅ 4"],
}
PLAIN = [
    "4",
    "",
    "The answer is 4.",
    "2 * 3 * 4 = 24",
    "It costs $5 and $6.",
    "a_b_c and __init__",
    "Ensure it is 4",
    "3.5 is less than 4",
    "# 4".replace("# ", "#"),
    "surely not",
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in EXAMPLES.items() for text in texts])
def test_habits(name: str, text: str):
    """Each habit is known by its examples."""
    assert name in found(text, text)


@pytest.mark.parametrize("text", [text for text in PLAIN if "__init__" not in text])
def test_plain(text: str):
    """What has none of them has none."""
    assert found(text, text) == []


def test_where():
    """An opening counts at the beginning alone, a closing in the tail."""
    assert found("4! Certainly!", "4! Certainly!") == []
    assert found("I hope this helps", "4") == []
    assert EXAMPLES.keys() == HABITS.keys()


def test_counts():
    """Shares of responses and of traces, and the pass rate with and without a habit."""
    style = Style()
    for text, accepted, trace in [("Sure, 4", True, True), ("Sure, 5", False, False), ("4", True, False), ("5", False, False)]:
        style.add(text, text, accepted=accepted, trace=trace)
    said = style.as_dict()
    assert said["sample"] == 4
    assert said["habits"]["opening"] == {
        "share": 0.5,
        "share_of_traces": 1.0,
        "pass_rate_with": 0.5,
        "pass_rate_without": 0.5,
    }
    assert said["habits"]["code"]["pass_rate_with"] is None
    assert Style().as_dict()["habits"]["list"]["share"] is None


def lengths(*counted: tuple[int, int, int]) -> list[Length]:
    """Return counts of (length, accepted, refused)."""
    return [Length(length=length, accepted=accepted, refused=refused) for length, accepted, refused in counted]


def test_a_perfect_guess():
    """Where all long ones are accepted, length says it all; where all short ones are, likewise the other way."""
    said = guess(lengths((10, 0, 5), (20, 5, 0)))
    assert said is not None
    assert (said.auc, said.threshold, said.longer, said.accuracy, said.base) == (1.0, 10, True, 1.0, 0.5)
    other = guess(lengths((10, 6, 0), (20, 0, 4)))
    assert other is not None
    assert (other.auc, other.threshold, other.longer, other.accuracy, other.base) == (0.0, 10, False, 1.0, 0.6)


def test_no_guess():
    """Where all are of one length it is as good as none; where all went one way there is nothing to guess."""
    said = guess(lengths((10, 6, 4)))
    assert said is not None
    assert (said.auc, said.accuracy, said.base) == (0.5, 0.6, 0.6)
    assert guess(lengths((10, 6, 0), (20, 3, 0))) is None
    assert guess([]) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.booleans()),
        min_size=2,
        max_size=30,
    ).filter(lambda rows: len({passed for _, passed in rows}) == 2)
)
def test_against_brute_force(rows: list[tuple[int, bool]]):
    """The area under the curve and the best accuracy are what trying all pairs and all thresholds gives."""
    counted = [
        (n, sum(a for length, a in rows if length == n), sum(not a for length, a in rows if length == n))
        for n in sorted({length for length, _ in rows})
    ]
    said = guess(lengths(*counted))
    pairs = [(good, bad) for good, a in rows if a for bad, b in rows if not b]
    auc = sum((good > bad) + (good == bad) / 2 for good, bad in pairs) / len(pairs)
    best = max(
        sum((length > n) == (passed == longer) for length, passed in rows) / len(rows)
        for n in range(-1, 7)
        for longer in (True, False)
    )
    assert said is not None
    assert said.auc == pytest.approx(auc, abs=1e-6)
    assert said.accuracy == pytest.approx(best, abs=1e-6)
    right = sum((length > said.threshold) == (passed == said.longer) for length, passed in rows) / len(rows)
    assert right == pytest.approx(said.accuracy, abs=1e-6)


def test_quantiles():
    """About as many responses in each part, equal lengths together, each with its pass rate."""
    parts = quantiles(lengths(*((n, n, 10 - n) for n in range(10))))
    assert [part["responses"] for part in parts] == [20] * 5
    assert [part["pass_rate"] for part in parts] == [0.05, 0.25, 0.45, 0.65, 0.85]
    assert (parts[0]["from"], parts[-1]["to"]) == (0, 9)
    assert [part["responses"] for part in quantiles(lengths((1, 50, 0), (2, 1, 1)))] == [50, 2]
    assert quantiles([]) == []


def test_sentence():
    """One sentence where length guesses well on enough responses; none where it doesn't, or there are too few."""
    many = lengths((100, 10, 90), (200, 90, 10))
    said = guess(many)
    assert said is not None
    text = sentence(200, quantiles(many), said.as_dict())
    assert text is not None
    assert "length alone guesses acceptance" in text
    assert "the longer one of a pair in 90%" in text
    assert "longer than 100 characters` is right for 90% (always the same answer: 50%)" in text
    few = lengths((100, 1, 9), (200, 9, 1))
    weak = lengths((100, 50, 50), (200, 60, 50))
    for each in (few, weak):
        number = sum(one.accepted + one.refused for one in each)
        assert sentence(number, quantiles(each), guess(each).as_dict()) is None  # type: ignore[union-attr]
    assert sentence(10, [], None) is None
