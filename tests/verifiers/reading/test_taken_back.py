"""An answer that its writer takes back is none; what is said behind an answer that stands takes nothing back."""

from __future__ import annotations

import pytest

from tests.verifiers.test_exact_match import check

ANSWERS = {
    "number": "5",
    "math": "5",
    "choice": "B",
    "text": "Paris",
    "date": "March 5, 2024",
    "set": "{1, 2}",
    "interval": "[1, 2]",
}
OTHERS = {
    "number": "7",
    "math": "7",
    "choice": "C",
    "text": "Rome",
    "date": "March 7, 2024",
    "set": "{1, 3}",
    "interval": "[1, 3]",
}
FORMS = [
    "The answer is {}.",
    "**Answer: {}**",
    "\\[\\boxed{{{}}}\\]",
    "### Final Answer\n\n{}",
    "So the answer is $\\boxed{{{}}}$.",
]
TAKEN_BACK = [
    "I think that's wrong.",
    "It could be right, but it's wrong.",
    "One might say so, but that's incorrect.",
    "Wait, that's wrong.",
    "Hold on — that is wrong.",
    "No wait, that's not right.",
    "Actually, that's incorrect.",
    "Wait, I made a mistake.",
    "However, that can't be right.",
    "But this is wrong.",
    "That answer is wrong.",
    "The above answer is incorrect.",
    "My previous answer is wrong.",
    "That isn't right.",
    "That was a mistake.",
    "I was wrong.",
    "I misread the question.",
    "I take that back.",
    "Strike that.",
    "Ignore the above.",
    "Just kidding.",
    "Let me try again.",
    "That can't be it.",
    "Hmm, that seems too low.",
    "This value is extraneous, so we reject it.",
    "Not quite.",
]
REPLACED = [
    "However, {} is correct.",
    "But {} is right.",
    "It is now {}.",
    "However, this ignores the host, so it is {}.",
    "Rechecking the sum, the answer should have been {}.",
    "Upon reflection, it should be {}.",
    "On closer inspection, {} is better.",
    "On reflection, the right one is {}.",
    "Upon re-examination, it must be {}",
    "It should have been {}.",
    "Update: it should be {}.",
    "Make that {}.",
    "I mean {}.",
    "Rather, it's {}.",
    "In fact, it is {}.",
    "So the actual answer is {}.",
    "Another possible answer is {}.",
    "Apologies, it's {}.",
    "I apologize, that should be {}.",
    "Typo: {}.",
    "Nope, {}.",
]
STRUCK_OUT = [
    " (incorrect)",
    " [wrong]",
    " ❌",
    " ✗",
    " 👎",
    "\n❌",
    " — wrong",
    "\nThis is wrong.",
    "\n\nThis is wrong.",
    "\nIncorrect.",
    " is wrong",
    " but that's wrong",
    ", which is incorrect",
    " (just a guess)",
    ", maybe",
    " (?)",
    " but I'm not sure.",
]
HEDGED = [
    "Maybe {}",
    "{}?",
    "I'd guess {}",
    "The answer is maybe {}",
    "The answer might be {}",
    "My best guess is {}.",
    "I guess the answer is {}",
    "Maybe the answer is {}.",
    "It could be {}",
    "I'm not sure, but {}",
]
BELIEVED = [
    "I think the answer is {}.",
    "I believe the answer is {}.",
    "First I thought of other things, but the answer is {}.",
    "Perhaps surprisingly, the answer is {}.",
    "The answer is {} ✅",
    "The answer is {} (correct)",
    "The answer is {}. Guesses would be wrong here.",
]
STANDS = [
    "You might think of another one, but that's wrong.",
    "A common mistake is to forget one; this is incorrect.",
    "It's tempting to say otherwise, but that is not right.",
    "If you got another one, that's wrong.",
    "It may be useful to verify this.",
    "(It could be written otherwise.)",
    "\u274c Common mistake: forgetting to carry.",
    "I guess that's why it is called lucky.",
    "Please tell me if something is incorrect.",
    "I hope this helps!",
    "It should be noted that this is exact.",
    "In fact, it is the largest one.",
    "Rather than guessing, we computed it.",
    "On reflection, this makes sense.",
    "On review, everything is correct.",
    "On re-reading the question, this is what is asked.",
    "Upon substitution we see that it holds.",
    "Many people get this wrong.",
    "That isn't surprising.",
    "The other root is extraneous.",
    "This should be compared with the other options.",
    "That seems reasonable.",
    "Update your notes accordingly.",
    "Be careful not to make an error here.",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_taken_back_does_not_pass(kind: str, form: str) -> None:
    """Whatever the kind, and however it was announced."""
    answer = form.format(ANSWERS[kind])
    said = [*TAKEN_BACK, *(words.format(OTHERS[kind]) for words in REPLACED)]
    assert [words for words in said if check(ANSWERS[kind], f"{answer}\n\n{words}", kind=kind).passed] == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ANSWERS)
def test_what_only_follows_an_answer_leaves_it(kind: str, form: str) -> None:
    """Remarks that have words of a retraction in them, and are none."""
    answer = form.format(ANSWERS[kind])
    assert [words for words in STANDS if not check(ANSWERS[kind], f"{answer}\n\n{words}", kind=kind).passed] == []


@pytest.mark.parametrize("form", ["The answer is {}", "{}", "\\boxed{{{}}}"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_struck_out_does_not_pass(kind: str, form: str) -> None:
    """Right behind it, or on a line of its own; "Incorrect" behind a letter may be that option's text."""
    answer = form.format(ANSWERS[kind])
    said = [words for words in STRUCK_OUT if kind != "choice" or words != "\nIncorrect."]
    assert [words for words in said if check(ANSWERS[kind], answer + words, kind=kind).passed] == []


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_guess_is_no_answer_and_a_belief_is_one(kind: str) -> None:
    """A lucky guess must not become a lesson."""
    answer = ANSWERS[kind]
    assert [words for words in HEDGED if check(answer, words.format(answer), kind=kind).passed] == []
    assert [words for words in BELIEVED if not check(answer, words.format(answer), kind=kind).passed] == []


@pytest.mark.parametrize(
    "response",
    [
        "The answer is B (Incorrect)",
        "The answer is B. Incorrect",
        "B: False",
        "The answer is B. A is incorrect.",
        "The answer is B, since A is wrong.",
        "B is correct, A is wrong.",
    ],
)
def test_an_option_whose_text_sounds_like_a_retraction_is_chosen(response: str) -> None:
    """And one that is wrong beside it takes nothing back."""
    assert check("B", response, kind="choice").passed is True


@pytest.mark.parametrize("form", ["{}", "```json\n{}\n```", "~~~\n{}\n~~~", "<answer>{}</answer>"])
def test_json_is_taken_back_too(form: str) -> None:
    """By the prose behind it; a remark leaves it."""
    answer = form.format('{"a": 1}')
    for words in ("\n(incorrect)", "\n❌", "\nWait, that's wrong.", "\n\nThis is wrong.", "\nActually, scratch that."):
        assert check('{"a": 1}', answer + words, kind="json").passed is False, words
    for words in ("", "\nHope this helps!", "\nWait for the result.", "\nA wrong key is an error."):
        assert check('{"a": 1}', answer + words, kind="json").passed is True, words


@pytest.mark.parametrize("answer", ["It is false", "The claim is wrong", "Maybe", "incorrect"])
def test_a_text_may_sound_like_a_retraction(answer: str) -> None:
    """Where it is the answer."""
    assert check(answer, f"Answer: {answer}").passed is True


ELSEWHERE = [
    *("It is often thought that", "It is widely believed that", "Naively,", "At first glance,", "It's said that"),
    *("It is commonly assumed that", "It was claimed that", "Ignoring the tax,", "Before tax,", "For part (a),"),
    *("In the previous problem,", "With two dogs,", "However, in the worst case,", "Note that for example"),
]
HERE = [
    "Therefore,",
    "With this,",
    "In conclusion,",
    "For these reasons,",
    "Adding them up,",
    "Before we go on: so",
    "In this case,",
]


@pytest.mark.parametrize("lead", ELSEWHERE)
@pytest.mark.parametrize("kind", ["number", "math", "choice", "text"])
def test_an_answer_of_others_or_of_another_case_leaves_the_answer_what_it_is(kind: str, lead: str) -> None:
    """What is commonly thought, or holds before tax, is no final answer behind one."""
    response = f"The answer is {ANSWERS[kind]}. {lead} the answer is {OTHERS[kind]}."
    assert (check(ANSWERS[kind], response, kind=kind).passed, check(OTHERS[kind], response, kind=kind).passed) == (True, False)


@pytest.mark.parametrize("lead", HERE)
def test_an_answer_that_is_concluded_last_counts(lead: str) -> None:
    """Not every sentence that begins with a preposition is of another case."""
    assert check("5", f"Of step 1 the answer is 7. {lead} the answer is 5.", kind="number").passed is True
    assert check("5", f"{lead} the answer is 5.", kind="number").passed is True


def test_a_case_alone_has_the_answer() -> None:
    """Where nothing was announced before, the question may ask for it."""
    assert check("5", "Before tax, the answer is 5.", kind="number").passed is True
    assert check("5", "The answer is 7 in all. Excluding the driver, the final answer is 5.", kind="number").passed is True


@pytest.mark.parametrize(
    ("reference", "response", "kind"),
    [
        ("5", "$\\boxed{5}$ is what one gets by ignoring muffins; including them gives 7.", "number"),
        ("5", "$\\boxed{5}$ would be the result that you get if you forget the muffins.", "math"),
        ("B", "Student's answer: B", "choice"),
        ("B", "Sample answer: B", "choice"),
        ("B", "The answer is B. That was my first guess; C is right.", "choice"),
    ],
)
def test_an_answer_that_is_called_another_s_is_none(reference: str, response: str, kind: str) -> None:
    """A box may hold a mistake, and a heading stand over what somebody else said."""
    assert check(reference, response, kind=kind).passed is False


@pytest.mark.parametrize("response", ["$\\boxed{5}$ is what we get.", "$\\boxed{5}$ is what she makes, and not 7."])
def test_a_box_as_a_subject_holds_the_answer(response: str) -> None:
    """It does where the sentence names no mistake."""
    assert check("5", response, kind="number").passed is True


OF_ANOTHER_OPTION = [
    "A is too low, so it is incorrect.",
    "- A: this is a vein, so it's incorrect.",
    "(A) is too low, so this is incorrect.",
    "- A: too low. This is incorrect.",
    "A: It is a vein, so it is incorrect.\nC: It is a nerve, so it is incorrect.",
    "C) Penicillin \u2013 the patient is allergic, so this is wrong.",
    "Option A (pneumonia) would cause fever, so it is incorrect.",
]
OF_THE_CHOSEN = [
    "B is too low, so it is incorrect.",
    "- B: this is a vein, so it's incorrect.",
    "Option B is too low, so it is incorrect.",
    "A check shows that it is too low, so it is incorrect.",
    "A is right and B isn't, so it is incorrect.",
    "A is lower. Hmm. B has two, so that is wrong.",
]


@pytest.mark.parametrize("form", ["The answer is {}.", "\\boxed{{{}}}", "The best answer is **{}. Embolism**.", "**Answer: {}**"])
def test_a_line_of_another_option_takes_back_nothing(form: str) -> None:
    """What it calls incorrect is that option; a line of the chosen one takes it back, and so does one of none."""
    head = form.format("B") + "\n\n"
    assert [line for line in OF_ANOTHER_OPTION if check("B", head + line, kind="choice").passed is not True] == []
    assert [line for line in OF_THE_CHOSEN if check("B", head + line, kind="choice").passed is not False] == []
    assert check("12", "The answer is 12.\n\nA is too low, so it is incorrect.", kind="number").passed is False
