"""Which number of a last sentence is the answer, where nothing announces one: "She has 7 apples left after giving 3 to Bob."."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil, floor

from verifiers.reading.final_number import EXPLANATION, NOTHING, Refusal, has_digits, quote
from verifiers.reading.numerals import Numeral, numerals
from verifiers.reading.tidying import tidy

CHARS = 600
"""Characters before a sentence in which the result is looked for that it says again."""
_ENDS = re.compile(r"[.!?]\s|\n")
_RESULTS_IN = re.compile(
    r"(?:\b(?:equals?|equal\sto|makes?|totals|(?:gives?|leaves?|leaving|giving)(?:\s(?:us|you|me|him|her|them|it))?(?:\swith)?|becomes?|comes\sto"
    r"|(?:adds?|sums?|amounts?|comes?)\s(?:up\s)?to|bring(?:s|ing)(?:\s[a-z]{1,12}){1,3}\sto|(?:rounds?|rounded)\s(?:up|down|off)\sto|total\sof"
    r")|(?:^|[.,;:]|\band)\s?(?:altogether|in\stotal|in\sall)[,:]?(?:\s[a-z]{1,12}){0,3}|=|≈)\s?[($]{0,2}\s?$",
    re.IGNORECASE,
)
_NO_RESULT = re.compile(r"\b(?:after|before|by|from|of|for)\sgiving\b[^,;]{0,20}$", re.IGNORECASE)
"""Right before a number that a calculation comes to."""
_CONCLUDES = re.compile(
    r"\b(?:so|thus|therefore|hence|then|which\s(?:is|equals|gives|makes|means|leaves|rounds)|that\sis|i\.e|making|totall?ing|leaving|leaves|keeping"
    r"|resulting|means|meaning|equals?|(?<!after\s)(?<!before\s)(?<!by\s)(?<!from\s)(?<!of\s)giving|also|donc|luego)\b|=|->"
    r"|共|还剩|還剩|剩|因此|所以|合計|全部で",
    re.IGNORECASE,
)
"""Between two numbers, of which the second one is concluded."""
_CHANGES = re.compile(
    r",\san?\s(?:[a-z]{1,12}\s)?(?:change|difference|increase|decrease|rise|drop|gain|loss)\sof\s\W{0,3}$", re.IGNORECASE
)
"""The same, where that is what the two before it come to: "from 5 to 12 degrees, a change of 7"."""
_WHICH_IS = re.compile(r"\bwhich\sis\s\W{0,3}$", re.IGNORECASE)
_SHARE_OF = re.compile(r"\W{0,3}of\b", re.IGNORECASE)
_FEW = 6
_INTRODUCED = re.compile(
    r"\W*(?:(?:so|thus|therefore|hence|then|and|but|now),?\s)?(?:with|for|after|before|in|if|of|from|at|since|when|given|out|on|by|as"
    r"|to|because|over|during|within|per|once|while|although|though|each\sof|[a-z]{2,12}ing\b(?=[^,]{1,80},\s)|among|between|every"
    r"|instead|starting|adding|dividing|subtracting|multiplying|nach|mit|für|in|bei|von|aus|après|avec|pour|en|dans|sur|con|para|por|después|de)\b",
    re.IGNORECASE,
)
"""How a sentence begins whose first number is given: "After 3 fights he is at level 7"."""
_GIVEN = re.compile(
    r"(?:\b(?:the|all|these|those|both|each|every|another|his|(?:of|in|on|with|for|to|from|by|all)\sher|their|its|our|my|your|first|last"
    r"|next|past|original|not|never)|n['\u2019]t|['\u2019]s)\s\W{0,3}$",
    re.IGNORECASE,
)
"""Right before a number that the question gave, or that isn't the answer."""
_COMPOUND = re.compile(r"-[a-zA-Z]")
"""Behind a number that says of what kind something is: "the 210-page book"."""
_ORDINAL = re.compile(r"\d(?:st|nd|rd|th)$", re.IGNORECASE)
_LEFT_OVER = re.compile(r"(?:\s[a-z]+){0,2}\s(?:left|remaining|extra|over|to\sspare)\b", re.IGNORECASE)
_WITH = re.compile(r"\bwith\s\W{0,3}$", re.IGNORECASE)
_CLAUSE_BEGINS = re.compile(
    r"(?:^|[,;:])\W*(?:(?:so|then|thus|therefore|hence|and|but|only|about|a\stotal\sof)\b\W*)*$", re.IGNORECASE
)
_QUALIFIES = re.compile(
    r"\b(?:includ(?:es|ing)|compared|out|between|among|through|instead|all|more\sthan|less\sthan)\b", re.IGNORECASE
)
_GOES_ON = re.compile(r"\b(?:and|but|has|have|is|are|was|were|can|will|now)\b|,\s(?:it|he|she|they|we)\b", re.IGNORECASE)
"""Where a sentence tells something else."""
_A_TOTAL_OF = re.compile(r"\btotal\sof\s\W{0,3}$", re.IGNORECASE)
_IN_TOTAL = re.compile(
    r"(?:\s[a-z]+){0,3}\s(?:in\stotal|altogether|in\sall|(?:left|remaining)\s(?:after|from|once|when))\b", re.IGNORECASE
)
_COLON = re.compile(r"(?:\s[a-z]+){0,3}:\s", re.IGNORECASE)
_IS_NAMED = re.compile(r"\b[a-zA-Z]{2,20}\s?=\s?$")
_NEXT_NAME = re.compile(r"(?:\s[a-z]{1,12})?\s?(?:,|;|and|,\sand)\s{1,2}[a-zA-Z]{2,20}\s?=\s?")
_VERB = r"(?:is|are|was|were|has|have|had|gets?|got|costs?|pays?|paid|needs?|earns?|makes?|made|takes?|will|can)\b"
_TELLS = re.compile(
    rf"(?<!to\s)\b{_VERB}(?:\sin\sgrade|\sat|(?:\s(?!(?:and|but|or|in|for|after|with|of|on|at|by|from|per|to)\b)[a-z]+){{0,2}})\s\W{{0,3}}$",
    re.IGNORECASE,
)
"""Right before a number that a sentence tells."""
_COMPARES = re.compile(
    r"\s(?:times\b|(?:[a-z]{1,12}\s){0,2}(?:more|less|fewer|older|younger|taller|shorter)\sthan\b)", re.IGNORECASE
)
"""Behind a number that only compares: "which is 3 times Ann's age"."""
_ADDED = re.compile(r"\s?[+\u00d7*/÷]|\s[-\u2212\u2013]\s")


def which(window: str, found: list[Numeral], before: str) -> Numeral | Refusal | None:
    """Return the number that the last sentence of a tidy window is about, if not its last one; refuse where nothing says.

    `before` is the text that stands before the window.
    """
    last = found[-1]
    begin = max((end.end() for end in _ENDS.finditer(window, 0, last.start)), default=0)
    within = [numeral for numeral in found if numeral.start >= begin]
    if len(within) < 2:  # noqa: PLR2004 - one says all
        return None
    gap = window[within[-2].end : last.start]
    refusal = Refusal(f"several numbers: {quote(window[within[0].start : last.end])}")
    named = _IS_NAMED.search(window[begin : within[-2].start]) and _NEXT_NAME.fullmatch(gap)
    if named or _is_share(window, begin, within, before):
        return refusal
    lead = window[begin : last.start]
    changes = _CHANGES.search(gap) is not None and last.value in _worked_out(within[:-1])
    if changes or (is_concluded(window, begin, within[-2], last) and not _is_beside(window, begin, within, before)):
        return None
    if _INTRODUCED.match(lead) and lead.rfind(", ") > within[0].end - begin:
        lead = lead[lead.rfind(", ") :]
    first = last.start - len(lead)
    if _TELLS.search(lead) and not any(_TELLS.search(window[first : each.start]) for each in within[:-1] if each.start > first):
        return None
    at = window.rfind("=", begin, last.start)
    result = _result(before + window[:begin])
    if at >= 0:
        within = [numeral for numeral in within if numeral.start > at]
        result = _result(before + window[: within[0].end])
    left = _candidates(window, begin, within) or within
    if len(left) < 2:  # noqa: PLR2004
        return None if left[0] is last else _head(window, left[0], within) or refusal
    return _agreed(window, left, within, result) or refusal


def is_concluded(window: str, begin: int, before: Numeral, last: Numeral) -> bool:
    """Whether the last number of a sentence is what the one before comes to: "so 12", "for a total of 12"."""
    lead = window[begin : last.start]
    comes_to = _RESULTS_IN.search(lead) is not None and not _NO_RESULT.search(lead)
    concluded = _CONCLUDES.search(window, before.end, last.start) is not None
    return (comes_to or concluded) and _COMPARES.match(window, last.end) is None


def _is_beside(window: str, begin: int, within: list[Numeral], before: str) -> bool:
    """Whether the last number is something else than the result that was calculated: "Each gets 7, which leaves 2"."""
    last = within[-1]
    concluded = _CONCLUDES.search(window, within[-2].end, last.start)
    if not concluded or window.rfind("=", begin, last.start) >= 0 or last.value in _worked_out(within[:-1]):
        return False
    result = _result(before + window[:begin])
    return result not in {None, last.value} and any(each.value == result for each in within[:-1])


def _is_share(window: str, begin: int, within: list[Numeral], before: str) -> bool:
    """Whether the last number only says what share the one before is: "She saved $15, which is 25% of the price"."""
    last = within[-1]
    if (
        not last.part
        or within[-2].part
        or not _SHARE_OF.match(window, last.end)
        or not _WHICH_IS.search(window[: last.start][-20:])
    ):
        return False
    return _result(before + window[:begin]) != last.value


def _worked_out(numbers: list[Numeral]) -> set[Fraction]:
    """Return what the last few numbers come to, two by two: their sums, differences, products and quotients."""
    values = [each.value for each in numbers[-_FEW:] if each.value is not None]
    found: set[Fraction] = set()
    for at, one in enumerate(values):
        for other in values[:at]:
            found |= {one + other, abs(one - other), one * other}
            found |= {part / whole for part, whole in ((one, other), (other, one)) if whole}
    return found | ({sum(values, Fraction(0))} if len(values) > 1 else set())


def _agreed(window: str, left: list[Numeral], within: list[Numeral], result: Fraction | None) -> Numeral | None:
    """Return the one of several numbers that is called the total, or is the last result that was calculated."""
    totals = [each for each in left if _is_total(window, each, within)]
    if len(totals) == 1:
        return totals[0]
    agreed = [each for each in left if result is not None and each.value == result]
    if agreed and agreed[-1] is left[-1]:
        return agreed[-1]
    if agreed or result is None or result.denominator == 1:
        return _head(window, agreed[0], within) if agreed else None
    rounded = [each for each in left if each.value in {floor(result), ceil(result)}]  # 2.75 buses are 3
    return _head(window, rounded[0], within) if len(rounded) == 1 else None


def _is_total(window: str, numeral: Numeral, within: list[Numeral]) -> bool:
    behind = next((each.start for each in within if each.start >= numeral.end), numeral.end)
    if _ADDED.search(window, numeral.end, behind):
        return False
    if _A_TOTAL_OF.search(window[: numeral.start]) or _IN_TOTAL.match(window, numeral.end):
        return True
    parts = [each.value for each in within if each.start > numeral.end]
    colon = _COLON.match(window, numeral.end)
    return bool(
        colon and len(parts) > 1 and None not in parts and numeral.value == sum(part for part in parts if part is not None)
    )


def _head(window: str, head: Numeral, within: list[Numeral]) -> Numeral | None:
    """Return a number where what follows it only says more of it."""
    behind = next((each for each in within if each.start > head.start), None)
    if behind is None:
        return head
    gap = window[head.end : behind.start]
    more = EXPLANATION.search(gap) or _QUALIFIES.search(gap)
    if more is None or head.value is None:
        return None
    told = [each for each in within if each.start > head.start and not _is_given(window, each)]
    return None if told and _GOES_ON.search(window, head.end, told[-1].start) else head


def _candidates(window: str, begin: int, within: list[Numeral]) -> list[Numeral]:
    """Return the numbers of a sentence that it tells, and doesn't take as given."""
    given = {id(each) for each in within if _is_given(window, each)}
    if _INTRODUCED.match(window, begin):
        comma = window.find(", ", within[0].end, within[-1].start)
        given |= {id(each) for each in within[:-1] if each is within[0] or each.end <= comma}
    left = [each for each in within if id(each) not in given]
    while len(left) > 1 and _is_subject(window, begin, left[0], left[1]):
        left = left[1:]
    return left


def _is_given(window: str, numeral: Numeral) -> bool:
    lead = window[max(0, numeral.start - 20) : numeral.start]
    left_over = _WITH.search(lead) and _LEFT_OVER.match(window, numeral.end)
    compound = _COMPOUND.match(window, numeral.end) or _ORDINAL.search(numeral.text)
    return bool(_GIVEN.search(lead) or compound or left_over)


def _is_subject(window: str, begin: int, numeral: Numeral, following: Numeral) -> bool:
    """Whether a number is of what its clause is about: "75 cans have 225 balls"."""
    gap = window[numeral.end : following.start]
    return _CLAUSE_BEGINS.search(window[begin : numeral.start]) is not None and not (
        EXPLANATION.search(gap) or _QUALIFIES.search(gap) or re.search(r"[,;:]", gap)
    )


def _result(text: str) -> Fraction | None:
    """Return what the last calculation of a text comes to."""
    tail = tidy(text[-CHARS:])
    at = tail.rfind("=")
    behind = numerals(tail[at + 1 : at + 60]) if at >= 0 else []
    first = next((each for each in behind if has_digits(each)), None)
    return first.value if first and NOTHING.fullmatch(tail[at + 1 : at + 1 + first.start]) else None
