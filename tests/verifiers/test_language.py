"""In which language a response is written."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import SetupError, SpecError
from tests.fakes import make_prompt, make_sample
from verifiers import language
from verifiers.making import make
from verifiers.protocol import Finding, NeedsMachine

ENGLISH = "The answer is forty-two, because six times seven makes exactly that number."
GERMAN = "Die Antwort ist zweiundvierzig, denn sechs mal sieben ergibt genau diese Zahl."
FRENCH = "La réponse est quarante-deux, parce que six fois sept donne exactement ce nombre."
CHINESE = "答案是四十二，因为六乘以七正好等于这个数字，所以我们就得到了这个结果。"
RUSSIAN = "Ответ сорок два, потому что шестью семь даёт именно это число."
CODE = "```python\n" + "def the_answer(is_it, forty_two):\n    return because(six, times, seven)\n" * 20 + "```\n"
MEGABYTE = 1_000_000


def found(response: str, *expect: str, **options: Any) -> Finding:
    """Return what the verifier says of a response."""
    finding = make("language", {"expect": expect or ("en",)} | options).check(make_prompt(), make_sample(response=response))
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize(
    ("code", "text"),
    [("en", ENGLISH), ("de", GERMAN), ("fr", FRENCH), ("zh", CHINESE), ("ru", RUSSIAN)],
    ids=lambda value: value[:2],
)
def test_languages(code: str, text: str) -> None:
    """Each passes where it is expected, and fails where another is."""
    right, wrong = found(text, code), found(text, "ja")
    assert (right.passed, wrong.passed, right.answer, wrong.answer) == (True, False, code, code)
    assert found(text, "ja", code).passed is True


@pytest.mark.parametrize(
    "response",
    [
        "",
        "42",
        "Paris",
        "7" * MEGABYTE,
        "x\n" * MEGABYTE,
        "\ud800\udfff" * 1000,
        "```\n" + ENGLISH,
        "$x + y$" * 100,
        "\0" * 1000,
        "!?" * 1000,
    ],
    ids=lambda text: ascii(text)[:12],
)
def test_what_has_no_language(response: str) -> None:
    """Too little text, or none, is undecided, whatever is expected."""
    for code in ("en", "de"):
        assert found(response, code).passed is None


def test_a_sign_may_say_as_much_as_letters() -> None:
    """A sentence of Chinese or Japanese is long enough, a word isn't."""
    assert found("今天天气很好，我们去公园散步吧。", "zh").passed is True
    assert found("今日は天気がいいですね。", "zh").passed is False
    assert found("今天天气", "zh").passed is None


def test_code_and_formulas_do_not_count() -> None:
    """German about English code is German, and so is German with formulas."""
    formulas = (
        r"\[ \text{the answer} = \frac{six}{seven} \] $the + answer$ \(is\) `the_answer_is` https://example.org/the/answer "
    )
    for response in (CODE + GERMAN, GERMAN + "\n" + CODE, formulas * 10 + GERMAN):
        assert found(response, "de").passed is True
        assert found(response, "en").passed is False


@pytest.mark.parametrize(
    ("response", "passed"),
    [
        (f"It costs $5 and {ENGLISH} That makes $10.", True),
        (f"It costs $5, {ENGLISH} and ($6 more).", True),
        (f"It costs \\$5, {ENGLISH} which \\$(we) pay", True),
        ("$x$ and $y$ " + ENGLISH.replace(" ", "$ $") + "$z$", None),
        (f"${ENGLISH}$", None),
    ],
)
def test_prices_are_no_formulas(response: str, passed: bool | None) -> None:
    """As Pandoc reads them: no blank within the signs of a formula, and no digit behind."""
    assert found(response, min_letters=30).passed is passed


@pytest.mark.parametrize(
    "response",
    [
        "**Step 1:** Find the slope.\n\n$m = 2$\n\n**Step 2:** Use the point-slope form of it.\n\n$y = m(x - 1)$\n\n| 1 | 2 |\n|---|---|",
        "They sold 48/2 = 24 clips in June. They sold 48+24 = 72 clips in both months, 72 - 24 = 48 of them in May.",
        "🎉 He paid 3 x 12 = 36 dollars for them and got 50 - 36 = 14 dollars back from the clerk. 🎉 ### 14 🎉",
    ],
)
def test_numbers_and_signs_do_not_count(response: str) -> None:
    """English among many of them is English, rather than undecided."""
    assert found(response).passed is True


@pytest.mark.parametrize(
    ("code", "response"),
    [
        ("zh", "答案是：她一共赚了10美元。"),
        ("zh", "當然可以！以下是一個簡單的例子，說明如何使用這個函數。"),
        ("ar", "عاصمة أستراليا هي كانبرا وليست سيدني."),
        ("no", "Hovedstaden i Australia er Canberra, ikke Sydney. Byen ble grunnlagt i 1913."),
        ("no", "Hovudstaden i Australia er Canberra, ikkje Sydney. Byen vart grunnlagd i 1913."),
    ],
)
def test_a_form_of_a_language_is_that_language(code: str, response: str) -> None:
    """Most short Chinese is likely to be of Shanghai, to the model; it isn't any other language's for that."""
    assert (found(response, code).passed, found(response, code).answer) == (True, code)
    assert (found(response, "en").passed, found(response, "en").answer) == (False, code)


def test_a_form_that_is_asked_for() -> None:
    """It counts for itself."""
    nynorsk = "Hovudstaden i Australia er Canberra, ikkje Sydney. Byen vart grunnlagd i 1913."
    assert (found(nynorsk, "nn").passed, found(nynorsk, "nn").answer) == (True, "nn")
    assert found(CHINESE, "wuu").passed is False


@pytest.mark.parametrize(
    ("response", "expect", "passed"),
    [
        ("Glavni grad Australije je Kanbera, a ne Sidnej. Grad je osnovan 1913. godine.", ["sr"], None),
        ("Glavni grad Australije je Kanbera, a ne Sidnej. Grad je osnovan 1913. godine.", ["bs", "hr", "sr"], True),
        ("Glavni grad Australije je Kanbera, a ne Sidnej. Grad je osnovan 1913. godine.", ["sl"], False),
        (GERMAN, ["sr"], False),
        ("Главни град Аустралије је Канбера, а не Сиднеј. Град је основан 1913. године.", ["sr"], True),
    ],
)
def test_what_nobody_can_tell_apart(response: str, expect: list[str], passed: bool | None) -> None:
    """Serbian in Latin letters may be Bosnian or Croatian: it isn't failed as such."""
    assert found(response, *expect).passed is passed


@pytest.mark.parametrize(
    ("response", "passed"),
    [
        (f"<think>{FRENCH}</think>{ENGLISH}", True),
        (f"<think>\n{ENGLISH}\n</think>\n\n{FRENCH}", False),
        (f"<think>{ENGLISH}", None),
        (f"The tag <think> begins it. {ENGLISH}", True),
    ],
)
def test_a_chain_of_thought_does_not_count(response: str, passed: bool | None) -> None:
    """What a model thinks may be in any language."""
    assert found(response).passed is passed


def test_candidates() -> None:
    """A list of the languages that it may be decides shorter texts."""
    short = "Hello, how are you today?"
    assert found(short, candidates=["de", "fr"], min_letters=5).passed is True
    assert found(short, "de", candidates=["en"], min_letters=5).passed is False
    with pytest.raises(ValidationError, match="has no language but the expected ones"):
        found(short, "en", candidates=["en"])


def test_unsure() -> None:
    """Between the two bounds nothing is decided."""
    mixed = f"{ENGLISH} {GERMAN}"
    finding = found(mixed, candidates=["de"], confidence=1.0)
    assert finding.passed is None
    assert finding.score is not None
    assert 0 <= finding.score <= 1


@pytest.mark.parametrize(
    "response",
    [f"{ENGLISH} " * 20_000, "e\u0301\u0323" * 300_000, "\\[" * 500_000, "$$" * 500_001, "<a" * 500_000, "`a" * 500_000],
    ids=lambda text: ascii(text)[:8],
)
def test_it_is_quick(response: str) -> None:
    """A megabyte takes no longer than what is read of it."""
    found(ENGLISH)
    began = time.process_time()
    found(response)
    assert time.process_time() - began < 3


def test_an_unknown_code() -> None:
    """It is found out before anything is spent, with the nearest that is known; what is no code at all, when the spec is read."""
    made = make("language", {"expect": ["xq"]})
    assert isinstance(made, NeedsMachine)
    with pytest.raises(SpecError, match="'xq' is no language that the model knows; "):
        made.ready()
    with pytest.raises(ValidationError):
        make("language", {"expect": ["English"]})
    with pytest.raises(ValidationError):
        make("language", {"expect": []})


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install, before anything is spent."""
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    language._identifier.cache_clear()
    made = make("language", {"expect": ["en"]})
    assert isinstance(made, NeedsMachine)
    with pytest.raises(SetupError, match=r"needs the package py3langid: pip install 'stillhouse\[language\]'"):
        made.ready()
