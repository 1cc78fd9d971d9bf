"""Text that repeats itself."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes import make_prompt, make_sample
from verifiers.protocol import Finding
from verifiers.repetition import DUPLICATE, TOP, Repetition, _ngrams, _z_function

MEGABYTE = 1_000_000
README = Path(__file__).parents[2] / "README.md"
WORDS = [f"w{n}" for n in range(2000)]


def found(response: str, **options: float) -> Finding:
    """Return what the verifier says of a response."""
    return Repetition(**options).check(make_prompt(), make_sample(response=response))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "response",
    [
        "7" * MEGABYTE,
        "x\n" * (MEGABYTE // 2),
        "Let me see. " + "Wait, I should check that again. " * 30,
        "Let me see. " + "Wait, I should check that again. " * 30 + "Wait, I sho",
        "Let me see. " + "A long unit of several sentences. It has two of them, and more words than that. " * 9,
        "\ud800\udfff" * 1000,
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_a_loop_at_the_end(response: str) -> None:
    """The same unit again and again, the last one cut off or not, fails."""
    finding = found(response)
    assert (finding.passed, finding.reason.startswith("ends in a loop: ")) == (False, True)


@pytest.mark.parametrize(
    "response",
    ["The answer is 4.", "1/3 = 0." + "3" * 50, "Title\n" + "-" * 80, "Ha" * 20, README.read_text()],
    ids=lambda text: text[:20],
)
def test_what_is_no_loop(response: str) -> None:
    """A ruled line, a long number or a page of prose passes."""
    assert found(response).passed is True


def test_lines_of_signs_repeat_nothing() -> None:
    """Code has many lines that only close a bracket, and many fences; what stands between them still counts."""
    rng = random.Random(1)
    names = [" ".join(rng.sample(WORDS, 5)) for _ in range(60)]
    code = "\n".join(f"```\n{{\n{name}\n}}\n```" for name in names)
    assert found(code, min_words=20).passed is True
    assert (
        found(code.replace(names[1], names[0]).replace(names[2], names[0]) + f"\n{names[0]}" * 30, min_words=20).passed is False
    )
    assert found("- - -\n* * *\n" * 7, min_words=20, loop_times=9).passed is True
    assert found("- - -\n* * *\nw " * 7, min_words=20, loop_times=9).passed is not None
    assert found("- * " * 40 + "w", min_words=20).passed is True


def test_options_of_a_loop() -> None:
    """How often, and how long."""
    response = "Start. " + "again and " * 6
    assert found(response).passed is True
    assert found(response, loop_times=6, loop_chars=50).passed is False
    assert found(response, loop_times=7, loop_chars=50).passed is True
    assert found(response, loop_times=6, loop_chars=70).passed is True


def test_repetition_overall() -> None:
    """Lines and n-grams that stand again and again count, wherever they are; a larger slack lets them pass."""
    rng = random.Random(1)
    fresh = " ".join(rng.sample(WORDS, 300))
    phrase = "as we have already seen above in this very text"
    repeating = " ".join(part for word in rng.sample(WORDS, 40) for part in (word, phrase)) + " " + fresh[:50]
    assert found(fresh).passed is True
    assert found(repeating).passed is False
    assert found(repeating, slack=10).passed is True
    lines = "\n".join([*(rng.sample(WORDS, 60)), *["the same line"] * 40, *rng.sample(WORDS, 60)])
    assert found(lines).reason == "lines that repeat, by characters: 49%, more than 20%"


CHINESE = (
    "要解决这个问题,我们先看一下题目给出的条件。小明早上买了十二个苹果,中午吃掉了三个,下午又送给邻居五个。为了知道晚上还剩多少,"
    "只需要从总数里减去吃掉和送出的数量。首先计算一共少了几个:三加五等于八。接着用十二减八,得到四。因此晚上篮子里还有四个水果。"
    "最后检查一遍:剩余的四个加上送人的五个,再加上中午的三个,正好是起初的数目,说明推理没有错误。如果第二天他想让每位同学都分到一个,"
    "而班里共有二十名学生,那么还得再去市场补货,至少要另外购买十六个才够。"
)
FRAMES = {
    "a times table": "\n".join(f"{a} x {b} = {a * b}" for a in range(2, 10) for b in range(1, 11)),
    "a list of values": "\n".join(f"- Item number {i}: the value is {i * i}" for i in range(59)),
    "steps": "\n".join(f"Step {i}: We add {i} to the running total, which makes {i * (i + 1) // 2}." for i in range(1, 50)),
    "names": "\n".join(f"- The capital of {a} is the city of {b}." for a, b in pairwise(WORDS[:60])),
    "Chinese": CHINESE,
    "Chinese steps": "".join(f"第{i}步：计算{i}乘以7等于{i * 7}。" for i in range(1, 40)),
    "Chinese clauses": "".join(f"{i}乘以7等于{i * 7}，" for i in range(1, 60)),
    "steps in a line": " ".join(f"Step {i}: compute {i} times 7, which is {i * 7}." for i in range(1, 40)),
    "long steps in a line": " ".join(
        f"Step {i}: we take the number {i} and multiply it by seven, which gives us {i * 7}." for i in range(1, 40)
    ),
    "clauses in a line": ", ".join(f"{i} multiplied by 7 is {i * 7}" for i in range(1, 60)),
}
AGAIN = {
    "a counter": "\n".join(f"Step {i}: I will check that the answer is right once more." for i in range(40)),
    "one line": " ".join(f"Let me check that the answer {i} is right once more." for i in range(40)),
    "a Chinese counter": "".join(f"第{i}步：我们再检查一遍这个答案。" for i in range(1, 60)),
    "a counter named twice": " ".join(f"Step {i}: attempt {i} says what attempt {i} said, once more." for i in range(1, 60)),
    "one computation": "".join(f"第{i}步：计算6乘以7等于42。" for i in range(1, 60)),
    "a computation in turns": " ".join(f"Step {i}: that {i} times 7 is {i % 2 * 7} is right." for i in [3, 4] * 25) + " So.",
    "in turns": "\n".join(f"Let me try x = {i}.\nThat isn't right, so I go on with the next one." for i in range(40)),
    "Chinese": "答案如下。" + "我们再检查一遍这个答案,因为它可能是错误的。" * 60 + "所以答案是七。",
    "Japanese": "この答えをもう一度確認します。" * 60 + "以上です。",
}


@pytest.mark.parametrize("response", FRAMES.values(), ids=FRAMES)
def test_lines_that_say_something_else_each_repeat_nothing(response: str) -> None:
    """Tables and lists have words in common, and Chinese has few characters that it needs all the time."""
    assert found(response).passed is True


@pytest.mark.parametrize("response", AGAIN.values(), ids=AGAIN)
def test_what_is_said_again_repeats_itself(response: str) -> None:
    """Whatever counts it, and in languages that put no space between words."""
    assert found(response).passed is False


def test_few_words() -> None:
    """A short text repeats some by chance, and only its end is looked at."""
    response = "yes no yes no maybe yes no indeed"
    assert found(response).passed is True
    assert found("").passed is None


@pytest.mark.parametrize("size", [12, 80, 200])
def test_shares_as_defined(size: int) -> None:
    """The shares are those that counting n-grams naively gives."""
    rng = random.Random(size)
    words = [rng.choice(["a", "bb", "ccc", "dd"]) for _ in range(size)]
    given = {what: share for what, share, _ in _ngrams(words)}
    total = sum(map(len, words))
    for n in range(2, 11):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        times = max(map(grams.count, grams))
        if n in TOP and times > 1:
            top = [times * sum(map(len, gram)) / total for gram in grams if grams.count(gram) == times]
            assert any(given[f"the most frequent {n}-gram"] == pytest.approx(share) for share in top)
        if n in DUPLICATE:
            inside = {i + j for i, gram in enumerate(grams) if grams.count(gram) > 1 for j in range(n)}
            assert given[f"{n}-grams that repeat"] == pytest.approx(sum(len(words[i]) for i in inside) / total)


def test_z_function() -> None:
    """For each place, how far the text from there is as it begins."""
    rng = random.Random(3)
    for _ in range(50):
        text = "".join(rng.choices("ab", k=rng.randint(1, 40)))
        naive = [
            0,
            *(next((k for k in range(len(text) - i) if text[k] != text[i + k]), len(text) - i) for i in range(1, len(text))),
        ]
        assert _z_function(text) == naive


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["words", "letters", "blank", "fibonacci"])
def test_linear(kind: str) -> None:
    """Four times the text takes about four times as long, whatever is in it."""
    rng = random.Random(4)

    def text(size: int) -> str:
        if kind == "words":
            return " ".join(rng.choices(WORDS, k=size // 5))
        if kind == "letters":
            return " ".join(rng.choices("abc", k=size // 2))
        if kind == "blank":
            return "a" + "\n \n" * (size // 3) + "b"
        one, two = "a", "ab"
        while len(two) < size:
            one, two = two, two + one
        return two

    times = []
    for size in (MEGABYTE // 4, MEGABYTE):
        response = text(size)
        began = time.process_time()
        found(response, slack=10)
        times.append(time.process_time() - began)
    assert all(later < 8 * earlier + 0.5 for earlier, later in pairwise(times))
