"""When a response's answer is the prompt's reference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.records import Prompt, Sample
from verifiers.exact_match import ExactMatch
from verifiers.protocol import Finding


def prompt(reference: str | None) -> Prompt:
    """Return a prompt with this reference."""
    return Prompt(prompt_id="p", messages=(), prompt="How many?", reference=reference, source="test", license="CC0-1.0")


def sample(response: str, finish_reason: str = "stop") -> Sample:
    """Return a sample with this response."""
    return Sample(
        sample_id="s", prompt_id="p", teacher="t", provider="p", model="m", sample_index=0, messages=(), response=response, finish_reason=finish_reason,
        tokens_in=1, tokens_out=1, latency_s=0.1, created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def check(reference: str | None, response: str, finish_reason: str = "stop", **options: Any) -> Finding:
    """Check one response against one reference."""
    return ExactMatch(**options).check(prompt(reference), sample(response, finish_reason))


NUMBERS = [
    ("64", "Kylar needs to pay **$64** for the 16 glasses.\n\nLet me know!", True),
    ("7", "Each of them gets **7** slices, with 2 left over.", True),
    ("64", "It might be **64** for the 16 glasses.", False),
    ("64", "He pays **$64** for each of the 16 glasses, so $1024.", False),
    ("64", "He pays **64** for the 16 glasses. Wait, that's wrong.", False),
    ("16", "With **64** glasses in 4 boxes there are 16.", True),
    ("15", "Let's count.\n\n**3 friends** with 5 dollars have 15", True),
    ("64", "It is **64** or 16.", False),
    ("7", "- 10 apples at first\n- 3 given away\n- **7 apples left**", True),
    ("7", "She had 10, less 3.\n\n- 7 apples", True),
    ("7", "What is left:\n- 7 apples", True),
    ("7", "10\n- 7", False),
    ("7", "\\begin{align*}\nx &= 10 - 3 \\\\\n&= 7\n\\end{align*}", True),
    ("7", "\\begin{cases} x = 2 \\\\ y = 7 \\end{cases}", False),
    ("12", "The answer is 12 dozen.", False),
    ("144", "The answer is 12 dozen.", True),
    ("3", "The answer is $3 a dozen.", True),
    ("5/6", "5 out of 6", True),
    ("12", "The answer is 12 of the 50 students", True),
    ("5", "5 m", True),
    ("5 cm", "5", True),
    ("5 cm", "5 centimeters", True),
    ("5 cm", "5 m", False),
    ("5 cm", "The answer is 5 m.", False),
    ("5 cm", "5 in total", True),
    ("5 cm²", "5 cm", False),
    ("5 hours", "5 minutes", False),
    ("7 days", "7 weeks", False),
    ("5 lbs", "5 pounds", True),
    ("60 mph", "60 miles per hour", True),
    ("$5", "5 dollars per hour", True),
    ("$5", "€5", False),
    ("$5", "$5$", True),
    ("5 cents", "5 dollars", False),
    ("50%", "50 dollars", False),
    ("1000000", "10^6", True),
    ("10⁶", "1,000,000", True),
    ("10", "10^6", False),
    ("106", "10⁶", False),
    ("5000", "5k", True),
    ("5", "5k", False),
    ("72", "The answer is 72.", True),
    ("72", "The answer is 72.0", True),
    ("72", "The answer is 720.", False),
    ("72", "The answer is 7.", False),
    ("72", "The answer is -72.", False),
    ("72", "The answer is 73. Not 72.", False),
    ("72", "72 was my first thought. The answer is 73.", False),
    ("1,234", "The answer is 1234", True),
    ("1234", "The answer is 1,234", True),
    ("1234", "The answer is 1.234", False),
    ("#### 72", "The answer is 72", True),
    ("She sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = <<48+24=72>>72 clips.\n#### 72", "Answer: 72", True),
    ("She sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = <<48+24=72>>72 clips.\n#### 72", "Answer: 24", False),
    ("0.5", "The answer is 1/2", True),
    ("1/2", "The answer is 0.5", True),
    ("1/3", "The answer is 0.333", False),
    ("0.1", "The answer is 0.1000000000000000055511151231257827", False),
    ("50", "The answer is 50%", True),
    ("50%", "The answer is 50", True),
    ("50%", "The answer is 50 percent", True),
    ("50%", "The answer is 0.5", False),
    ("0.5", "The answer is 50%", False),
    ("$10", "The answer is 10 dollars", True),
    ("1.5", "The answer is 1 1/2", True),
    ("12", "The answer is twelve.", True),
    ("12", "The answer is 12 or 13", False),
    ("12", "12, 13", False),
    ("12", "It is 11, 12 or 13", False),
    ("12", "The answer is more than 12", False),
    ("1200", "Answer: **$1,200** (that's 12 × $100)", True),
    ("18", "**Answer: 18** (16 + 2)", True),
    ("18", "The answer is **18** - as we saw.", True),
    ("1024", "The answer is 2**10 = 1024.", True),
    ("2", "The answer is 2 ** 10.", False),
    ("20", "$\\boxed{20}$ (not $\\boxed{25}$)", True),
    ("25", "$\\boxed{20}$ (not $\\boxed{25}$)", False),
    ("25", "The answer is $\\boxed{20}$. A common mistake gives $\\boxed{25}$.", False),
    ("20", "Not $\\boxed{25}$ but $\\boxed{20}$", True),
    ("12.35", "The answer is 12.35 (rounded to 2 decimal places).", True),
    ("12.35", "The answer is 12.35, correct to 2 decimal places.", True),
    ("12.35", "The answer is 12.35 (to 2 d.p.)", True),
    ("12.35", "It costs 12.35, rounded to 2 decimal places.", True),
    ("12.346", "The answer is 12.346 or 12.35 (rounded to 2 decimal places).", False),
    ("12", "The answer would be 12 if ends counted, but they don't, so it is 10.", False),
    ("12", "### Answer\n\n12\n\nThat was a guess.", True),
    ("5", "**Final Answer**\n\n\\boxed{\\boxed{5}}", True),
    ("24", "The answer is 48/2", False),
    ("12", "The answer is 3 × 4", False),
    ("102", "The answer is 10²", False),
    ("5 m²", "5m²", True),
    ("5 m²", "5m", False),
    ("5 m²", "5m³", False),
    ("12", "I don't know.", False),
    ("12", "", False),
    ("9" * 300, "The answer is " + "9" * 300, True),
    ("9" * 300, "The answer is " + "9" * 299 + "8", False),
]
CHOICES = [
    ("A", "The answer is (A).", True),
    ("(B)", "b", True),
    ("B) Paris", "B", True),
    ("b", "B", True),
    ("The answer is C", "\\boxed{C}", True),
    ("A", "The answer is a dog", False),
    ("A", "The answer is B", False),
    ("A", "A or B", False),
    ("A", "All of the above", False),
]
TEXTS = [
    ("E. coli", "The answer is E. coli.", True),
    ("E", "The answer is E. coli", False),
    ("J. K. Rowling", "The answer is J. K. Rowling. She wrote it.", True),
    ("J.", "The answer is J. K. Rowling", False),
    ("J. K", "The answer is J. K. Rowling", False),
    ("John F. Kennedy", "The answer is John F. Kennedy. He was shot.", True),
    ("John F", "The answer is John F. Kennedy. He was shot.", False),
    ("vitamin C", "The answer is vitamin C. Oranges have it.", True),
    ("B", "The answer is B. Paris is the capital.", True),
    ("B", "The answer is B. because Paris is the capital.", True),
    ("yes", "The answer is **yes** only when x>0, **no** otherwise", False),
    ("yes", "Answer: **Yes** if x>0", False),
    ("yes", "The answer is **Yes**, because if x>0 it holds.", True),
    ("Paris", "The answer is **Paris** for France, **Rome** for Italy.", False),
    ("Paris", "The answer is **Paris**, the capital of **France**.", True),
    ("1912", "The answer is **1912**, when the Titanic sank.", True),
    ("5", "x = \\boxed{5} or x = \\boxed{6}", False),
    ("6", "(1) \\boxed{5}\n(2) \\boxed{6}", False),
    ("6", "First, $\\boxed{5}$. Second, $\\boxed{6}$.", False),
    ("6", "(1) \\boxed{6}\n(2) \\boxed{6}", True),
    ("6", "x = \\boxed{5} or x = \\boxed{6}", False),
    ("Paris", "The answer is **Paris**, the capital of France.", True),
    ("Paris", "The answer is Paris because it's the capital.", True),
    ("Paris", "The answer is **Paris** or **London**.", False),
    ("Paris", "The answer is **Paris**, but also London.", False),
    ("Paris", "Paris", True),
    ("Paris", "paris.", True),
    ("Paris", "**Paris**", True),
    ("Paris", '"Paris"', True),
    ("Paris", "  Paris\n", True),
    ("Paris", "The answer is Paris.", True),
    ("Paris", "The answer is Paris. It lies on the Seine.", True),
    ("Paris", "The answer is: `Paris`", True),
    ("Paris", "Answer:\n\nParis\n", True),
    ("Paris", "\\boxed{\\text{Paris}}", True),
    ("Paris", "**Answer: Paris**", True),
    ("O'Neill", "Answer: O\u2019Neill", True),
    ("not guilty", "Answer: **not** guilty", True),
    ("a**b", "Answer: a b", False),
    ("**kwargs", "Answer: kwargs", False),
    ("Paris", "**The answer is Paris.**", True),
    ("北京", "答案是北京。", True),
    ("北京", "答案是北京。它是首都。", True),
    ("東京", "答えは東京です。", True),
    ("서울", "정답은 서울입니다.", True),
    ("Paris", "The answer is Par\u200bis", True),
    ("The answer is Paris", "Paris", True),
    ("A B", "a \n b", True),
    ("straße", "STRASSE", True),
    ("\ufb01sh", "fish", True),
    ("½", "1/2", True),
    ("St. Louis", "The answer is St. Louis.", True),
    ("not guilty", "The answer is not guilty.", True),
    ("Paris", "The capital is Paris", False),
    ("Paris", "The answer is not Paris", False),
    ("Paris", "The answer isn't Paris", False),
    ("Berlin", "Die Antwort ist Berlin.", True),
    ("Berlin", "Die Antwort ist nicht Berlin.", False),
    ("Paris", "The answer is Paris or London", False),
    ("Paris", "The answer is Paris, perhaps", False),
    ("Paris", "The answer is London.\n\nParis", False),
    ("Paris", "The answer is Paris. Wait, London.", False),
    ("Paris", "Par is", False),
    ("Paris", "", False),
    ("St", "The answer is St. Louis", False),
    ("C", "C++", False),
    ("C", "C#", False),
    (".NET", "NET", False),
    ("-5", "5", False),
    ("10²", "102", False),
    ("?", "!", False),
    ("5!", "5", False),
    ("5!", "The answer is 5!", True),
    ("Yahoo!", "Yahoo", True),
    ("a" * 100, "a" * 100_000, False),
]


@pytest.mark.parametrize(("reference", "response", "passed"), NUMBERS)
def test_numbers_are_equal_as_exact_values(reference: str, response: str, passed: bool) -> None:
    """Forms and units don't count; values do, to the last digit."""
    assert check(reference, response, kind="number").passed is passed


@pytest.mark.parametrize(("reference", "response", "passed"), CHOICES)
def test_choices_are_equal_as_letters(reference: str, response: str, passed: bool) -> None:
    """The letter counts, not how it is written."""
    assert check(reference, response, kind="choice").passed is passed


@pytest.mark.parametrize(("reference", "response", "passed"), TEXTS)
def test_texts_are_equal_without_their_dress(reference: str, response: str, passed: bool) -> None:
    """Case, spacing, quotes, markdown and the last full stop don't count; everything else does."""
    assert check(reference, response).passed is passed


@pytest.mark.parametrize("kind", ["text", "number", "choice"])
@pytest.mark.parametrize("reference", [None, "", "  \n"])
def test_without_a_reference_nothing_is_decided(kind: str, reference: str | None) -> None:
    """A missing reference is the source's fault, not the teacher's."""
    finding = check(reference, "The answer is 5.", kind=kind)
    assert (finding.passed, finding.reason) == (None, "the prompt has no reference")


@pytest.mark.parametrize(
    ("kind", "reference"),
    [("number", "many"), ("number", "5 or 6"), ("number", "3:30"), ("number", "48/2"), ("choice", "7"), ("choice", "A or B")],
)
def test_a_reference_that_cannot_be_read_decides_nothing(kind: str, reference: str) -> None:
    """An unreadable reference never fails a response."""
    finding = check(reference, "The answer is 5.", kind=kind)
    assert finding.passed is None
    assert finding.reason.startswith("the reference can't be read: ")


@pytest.mark.parametrize(
    ("options", "reference", "response", "reason", "answer"),
    [
        ({"kind": "number"}, "14", "The answer is 12.", "12 ≠ 14 (after 'The answer is')", "12"),
        ({"kind": "number"}, "#### 1,200", "She sold 1,200.0 in all", "matches 1,200 (at the end)", "1,200.0"),
        ({"kind": "number"}, "14", "No idea", "no number found", None),
        ({"kind": "number"}, "5", "The answer is 5 or 6", "several numbers: “5 or 6” (after 'The answer is')", None),
        ({"kind": "number"}, "5", "The answer is 1,5", "“1,5” is no plain number (after 'The answer is')", None),
        ({"kind": "choice"}, "A", "\\boxed{B}", "B ≠ A (in \\boxed{})", "B"),
        ({"kind": "choice"}, "A", "Nothing fits", "no choice found", None),
        ({}, "Paris", "Answer: London", "London ≠ Paris (after 'Answer')", "London"),
        ({}, "Paris", " ", "no answer found", None),
    ],
)
def test_a_finding_says_what_was_compared(
    options: dict[str, Any], reference: str, response: str, reason: str, answer: str | None
) -> None:
    """The reason is one line for a person, and the answer is kept as written."""
    finding = check(reference, response, **options)
    assert (finding.reason, finding.answer) == (reason, answer)


@pytest.mark.parametrize(
    ("response", "finish_reason", "passed"),
    [
        ("The answer is 7", "stop", True),
        ("The answer is 7", "length", False),
        ("The answer is 7.", "max_tokens", False),
        ("The answer is 7 apples because", "length", True),
        ("So \\boxed{7}", "length", True),
        ("First 3 + 4 = 7", "length", False),
    ],
)
def test_a_number_at_which_the_response_was_cut_off_does_not_count(response: str, finish_reason: str, passed: bool) -> None:
    """A 7 at the cut may be the beginning of 72."""
    assert check("7", response, finish_reason, kind="number").passed is passed


@pytest.mark.parametrize(
    ("reference", "response", "passed"),
    [
        ("5", "The answer is >5.", None),
        ("5", "The answer is:\n> 5", True),
        ("1, 2, 3", "The answer is 1, 2, 3, ...", None),
        ("0.333", "The answer is 0.333...", None),
        ("5", "The answer is 5...", True),
        ("72", "**The answer is 72!**", True),
        ("72", "The answer is **72!** (3 boxes of 24)", True),
        ("72", "The answer is 72! - great job", True),
        ("120", "The answer is 5! = 120", True),
        ("\\$5", "\\$5.00", True),
        ("6", "x = \\boxed{5} or x = \\boxed{6}", False),
        ("6", "<answer>5</answer> or <answer>6</answer>", False),
    ],
)
def test_where_announced_mathematics_begins_and_ends(reference: str, response: str, passed: bool | None) -> None:
    """A sign before it and an ellipsis behind it belong to it."""
    assert check(reference, response, kind="math").passed is passed


def test_a_text_at_which_the_response_was_cut_off_does_not_count() -> None:
    """A word at the cut may be the beginning of another."""
    assert check("Pari", "The answer is Pari", "length").passed is False
    assert check("Paris", "The answer is Paris. It lies", "length").passed is True


@pytest.mark.parametrize(
    ("tolerance", "response", "passed"),
    [
        (0, "3.14", False),
        (0.01, "3.14", True),
        (0.0016, "3.14", True),
        (0.001, "3.14", False),
        (0.01, "3.15", True),
        (0.01, "3.2", False),
        (0.01, "The answer is 3.14...", True),
        (0.01, "The answer is 3.14\u2026 It goes on.", True),
        (0.001, "The answer is 3.14...", False),
        (0, "The answer is 3.1416...", False),
    ],
)
def test_a_tolerance_is_absolute_and_exact(tolerance: float, response: str, passed: bool) -> None:
    """Half a unit in the last place is the spec's to grant, and 0.01 is a hundredth, not its nearest float."""
    assert check("3.1416", response, kind="number", tolerance=tolerance).passed is passed


def test_digits_that_go_on_are_as_near_as_they_are_for_mathematics_too() -> None:
    """Without a tolerance, nobody knows how they go on."""
    assert check("3.1416", "The answer is 3.14...", kind="math", tolerance=0.01).passed is True
    assert check("3.14", "The answer is 3.14...", kind="math").passed is None


def test_case_counts_where_the_spec_says_so() -> None:
    """`case_sensitive` tells "us" from "US"."""
    assert check("US", "us", case_sensitive=True).passed is False
    assert check("US", "US.", case_sensitive=True).passed is True


def test_the_choices_are_the_specs() -> None:
    """A letter that isn't offered is no choice."""
    assert check("J", "J", kind="choice", choices="ABCDEFGHIJ").passed is True
    assert check("A", "The answer is E", kind="choice", choices="ABCD").reason == "no choice found"


@pytest.mark.parametrize(
    ("kind", "reference", "response", "passed"),
    [
        ("number", "12", "12 apples", True),
        ("number", "12", "The answer is 12", False),
        ("choice", "A", "(A)", True),
        ("choice", "A", "The answer is A", False),
        ("text", "Paris", "Paris.", True),
        ("text", "Paris", "The answer is Paris", False),
    ],
)
def test_whole_allows_nothing_around_the_answer(kind: str, reference: str, response: str, passed: bool) -> None:
    """`extract: whole` is for prompts that ask for the bare answer."""
    assert check(reference, response, kind=kind, extract="whole").passed is passed


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "float"},
        {"tolerance": -1},
        {"tolerance": float("nan")},
        {"tolerance": float("inf")},
        {"choices": "abc"},
        {"choices": ""},
        {"extract": "x"},
    ],
)
def test_an_option_that_means_nothing_is_refused(options: dict[str, Any]) -> None:
    """The spec's author hears of it before anything is spent."""
    with pytest.raises(ValidationError):
        TypeAdapter(ExactMatch).validate_python(options)


def test_a_long_answer_is_kept_short() -> None:
    """A megabyte doesn't go into the verdicts table, nor does what UTF-8 can't carry."""
    finding = check("Paris", "\ud800" * 1_000_000)
    assert finding.answer is not None
    assert len(finding.answer) <= 200
    assert len(finding.reason) < 500
    assert finding.reason.encode()


def test_a_part_of_all_is_a_count_where_the_prompt_asks_how_many() -> None:
    """Elsewhere 5 out of 6 are 5/6 and nothing else."""
    for asked, passed in (("How many of the 6 students passed?", True), ("What share of them passed?", False)):
        for said in ("5 out of 6", "Thus, 5 out of the 6 students passed.", "The answer is 5 of 6."):
            found = ExactMatch(kind="number").check(replace(prompt("5"), prompt=asked), sample(said, "stop"))
            assert found.passed is passed, (asked, said)
    assert check("6", "5 out of 6", kind="number").passed is False
    assert check("1", "6 out of 6", kind="number").passed is True


@pytest.mark.parametrize(
    ("reference", "response", "passed"),
    [
        ("5 cm", "The answer is $5 \\text{ cm}$.", True),
        ("5 m/s", "$$5 \\frac{m}{s}$$", True),
        ("$5", "The answer is $5 \\text{ dollars}$.", True),
        ("5 cm", "The answer is $5.", False),
        ("5 cm^3", "The answer is $5 \\text{ cm}^3$.", True),
        ("5 cm^3", "5cm³", True),
        ("5 cubic cm", "5 cm^3", True),
        ("25 cm^2", "The area is 25cm².", True),
        ("5 square meters", "5 m²", True),
        ("5 sq. ft", "5 square feet", True),
        ("5 m²", "5 m³", False),
        ("5 m^2", "5 cubic meters", False),
        ("5 cm^2", "\\boxed{5\\ \\mathrm{cm}^3}", False),
        ("5 miles", "5 square miles", False),
        ("5", "5 cubic feet", True),
        ("5 square tiles", "5", True),
    ],
)
def test_areas_volumes_and_units_in_formulas(reference: str, response: str, passed: bool) -> None:
    """An area is no volume, and LaTeX's fences are no dollars."""
    assert check(reference, response, kind="number").passed is passed


@pytest.mark.parametrize(
    ("kind", "right", "other"),
    [
        ("number", "7", "8"),
        ("choice", "A", "B"),
        ("math", "2x", "3x"),
        ("math", "$\\frac{1}{2}$", "$\\frac{1}{3}$"),
        ("math", "x^2", "x^3"),
        ("text", "Paris", "London"),
        ("set", "{1, 2}", "{3, 4}"),
        ("date", "4 March 2024", "5 March 2024"),
    ],
)
@pytest.mark.parametrize(
    "behind",
    [
        " If x were 2, the answer would be {}.",
        "\n\nNote: if instead x were 2, the correct answer would be {}.",
        "\nWithout the discount, the answer would be {}.",
        " Otherwise the answer would be {}.",
        " If x is 2, the answer is {}.",
        "\n\n**Note:** if the ends count as well, then the correct answer is {}.",
        " (When x is 2, the answer is {}.)",
    ],
)
def test_what_would_be_the_answer_in_another_case(kind: Any, right: str, other: str, behind: str) -> None:
    """It is none, behind one that is stated."""
    for stated in (f"The answer is {right}.", f"\\boxed{{{right}}}."):
        said = stated + behind.format(other)
        assert [check(reference, said, kind=kind).passed for reference in (right, other)] == [True, False], said
    alone = f"The answer is found by adding. If we add them, the answer would be {other}."
    assert check(other, alone, kind=kind).passed is True


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("number", "7", "8"),
        ("choice", "A", "B"),
        ("math", "2x", "3x"),
        ("set", "{1, 2}", "{3, 4}"),
        ("date", "4 March 2024", "5 March 2024"),
    ],
)
def test_an_answer_for_each_case_is_none(kind: Any, one: str, other: str) -> None:
    """Where each is supposed, the last is no better than the first; where both are the same, it is the answer."""
    said = f"If n is even, the answer is {one}. If n is odd, the answer is "
    assert [check(reference, f"{said}{other}.", kind=kind).passed for reference in (one, other)] == [False, False]
    assert check(one, f"{said}{one}.", kind=kind).passed is True


@pytest.mark.parametrize(
    "said",
    [
        "First, the answer for one day is 8. If he works 5 days, the answer is 40.",
        "The answer to part one is 8. If we take all five, the answer is 40.",
        "The answer is 8. If we take all five, as we are asked to, the final answer is 40.",
    ],
)
def test_what_is_supposed_may_be_what_was_asked(said: str) -> None:
    """The answer to a part is no answer, and a final one is final."""
    assert [check(reference, said, kind="number").passed for reference in ("8", "40")] == [False, True]


def test_a_bound_answers_who_asks_for_one() -> None:
    """Elsewhere "at least 5" is no number, in any language; where the reference is a bound, so may the answer be."""
    for said in (
        "She needs at least 5.",
        "The answer is at most 5.",
        "up to 5",
        "no more than 5",
        "答案是至少5",
        "Es sind mindestens 5.",
        "Al menos 5",
        "The answer is 5 at least.",
        "5 minimum",
    ):
        for asked, passed in (("How many coins must she take at least?", True), ("How many coins has she?", False)):
            found = ExactMatch(kind="number").check(replace(prompt("5"), prompt=asked), sample(said, "stop"))
            assert found.passed is passed, (asked, said)
    assert check("at least 5", "at least 5", kind="number").passed is True
    for said in ("The share is 16.4.\nThis rounds up to 17.", "They add up to 17."):
        assert check("17", said, kind="number").passed is True


@pytest.mark.parametrize(
    ("response", "references"),
    [
        ("The answer is 1/4 = 0.25 = 25%.", {"1/4", "25", "25%", "0.25"}),
        ("The probability is 3/4 or 75%.", {"3/4", "75%"}),
        ("\\boxed{\\frac{7}{3} \\approx 2.33}", {"7/3", "2.33"}),
        ("So it takes 90 minutes, or 1.5 hours.", {"90", "1.5", "90 minutes", "1.5 hours"}),
        ("The answer is 7 km = 7000 m", {"7 km", "7000 m", "7000"}),
        ("The answer is 1/3 ≈ 0.5", {"0.5"}),
    ],
)
def test_an_amount_that_is_said_twice_answers_by_either(response: str, references: set[str]) -> None:
    """One that is converted or rounded is the writer's own too, where the two agree."""
    every = {
        "1/4",
        "25",
        "25%",
        "3/4",
        "75%",
        "7/3",
        "2.33",
        "90",
        "1.5",
        "7 km",
        "7000 m",
        "1/3",
        "0.5",
        "90 minutes",
        "0.25",
        "1.5 hours",
        "7000",
    }
    assert {each for each in every if check(each, response, kind="number").passed} == references


def test_dozens_are_counted_where_the_prompt_asks_for_them() -> None:
    """Elsewhere 12 dozen are 144 and nothing else."""
    for asked, passed in (("How many dozen eggs?", True), ("How many eggs?", False)):
        found = ExactMatch(kind="number").check(replace(prompt("12"), prompt=asked), sample("The answer is 12 dozen.", "stop"))
        assert found.passed is passed
    assert check("144", "12 dozen", kind="number").passed is True
