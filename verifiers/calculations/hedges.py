"""Sentences that don't state the equation within them: they ask, suppose, deny it or take it back."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.calculations.arithmetic import Expression
from verifiers.reading.sentences import taken_back

AFTERWARDS = 300
"""Characters behind an equation in which it may be taken back."""
REACH = 300
"""Characters before and behind an equation that may say how it is meant."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_CLAUSE = re.compile(r"[,;]\s|\b(?:then|because|since)\b")
_OTHER_ARITHMETIC = re.compile(
    r"""\b(?:binary|hexadecimal|octal|boolean|bitwise|xor|strings?|concatenat\w+|modul(?:us|o|ar)\b|mod\b
    |base[ -](?:\d+|two|eight|sixteen)|gf\s?\(|[fz]_\d|z/\d
    |overflow\w*|left[ -]to[ -]right|without\s(?:the\s)?(?:precedence|order))""",
    re.IGNORECASE | re.VERBOSE,
)
_DIGITS = re.compile(r"\b(?:carr(?:y|ie[sd]|ying)|borrow\w*|regroup\w*|ones|tens|units?)\b", re.IGNORECASE)
"""By which a digit alone is written down: 8 + 7 = 5, carry 1."""
_REJECTED = re.compile(
    r"^[^\w.]{0,4}(?:(?:(?:which|that|this|it)(?:\s(?:is|would\sbe)|['\u2019]s)?|is|an?)\s){0,2}"
    r"(?:(?:can|could)(?:not|n['\u2019]t|\snot)\sbe\s(?:right|true|correct|so|possible)|false|no(?=\W*$|[).;])|impossible|absurd|nonsense|an?\scontradiction|contradict\w+|\u2717|\u2718|\u274c)(?!\w)",
    re.IGNORECASE,
)
"""Right behind an equation: what one finds that tries it."""
_CLOCK = re.compile(r"\b(?:o['\u2019]?clock|[ap]\.?m|noon|midnight|morning|afternoon|evening|night)\b", re.IGNORECASE)
_SAY = r"(?:say|think|write|claim|argue|assume|guess|believe|conclude|mistake|misread|imagine|object|answer|reply)"
_SAID = (
    r"(?:said|thought|claimed|argued|assumed|guessed|believed|concluded|misread|imagined|objected|answered|tempted|mistaken|written"
    r"|expected)"
)
_NOT = r"(?:not|never|cannot|neither|\w+n['\u2019]t)"
_RIGHT = r"(?:right|true|correct|valid|possible|the\scase|so|what|how)"
_IS = (
    r"(?:equal|mean|make|give|yield|get|say|claim|imply|follow|add|come(?=\s(?:to|out)\b)|become|result|work|hold|match|fit|satisf\w+"
    r"|agree|check)"
)
_HEDGE = re.compile(
    rf"""\b(?:suppos\w+|assum\w+|imagin\w+|pretend\w*|might|instead|wrong\w*|incorrect\w*|mist\w+|could\s(?:\w+\s)?(?:be\b(?!\s(?!{_SAID})\w+(?:ed|en)\b)|{_SAY})
    |(?:one|you|some(?:one|body)?|any(?:one|body)|many|most|others?|people|students?|persons?|readers?|beginners?)\s(?:\w+\s){{0,2}}would
        (?!\s(?:\w+\s)?(?:have\sto|need|pay|cost|take|save|earn|owe|require)\b)
    |would\s(?:\w+\s)?(?:think|say|guess|expect|seem|appear|look|suggest|lead|tempt\w*)
    |errors?|false|unless|guess\w*|whether|claim\w*|thought|thinks?|hypothe\w+)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_TRIED = re.compile(r"\b(?:try|trying|tried)\b(?:\W+\w+){0,3}\W*$", re.IGNORECASE)
"""Right before an equation."""
_IF = re.compile(r"\bif\b(?P<what>.*)", re.IGNORECASE | re.DOTALL)
_NOTHING_MORE = re.compile(r"(?: [a-z-]+){0,3}[.!]?\s*")
"""Behind an equation: with that, a sentence that began with "if" has nothing that follows from it."""
_MEANT = 6
"""Words behind an "if" from which on it is of the story, and not of the equation: "if she buys two, it is 2 * 3 = 6"."""
_IF_COUNTED = re.compile(r"\bif\s(?:we|you|one|i|it|this|that|there|not|count\w*|includ\w+|round\w*|\d)\b", re.IGNORECASE)
"""Behind an equation: a condition of how it is computed, while "if he sells all" is one of the story."""
_RELATIVE = re.compile(
    rf"\b(?:who|that|which|whom|whose\s\w+|how\s(?:many|much))(?:\s(?!{_IS}\b)[\w\u2019'-]+){{0,4}}?\s"
    rf"(?:{_NOT}|\w+['\u2019]ve\snot)\s(?!(?:\w+\s)?(?:{_RIGHT}|{_IS}|be)\b)[\w-]+",
    re.IGNORECASE,
)
"""A clause that says what something doesn't do: "flowers that are not roses"."""
_DENIED_BEFORE = re.compile(
    rf"\b{_NOT}\b(?!\s(?:exceed|surpass|pass)\b)"
    rf"(?=(?:\s\w+){{0,2}}\W*$|\s(?:\w+\s)?(?:{_RIGHT}|{_IS}|{_SAY}|be)\b)",
    re.IGNORECASE,
)
_DENIED_BEHIND = re.compile(
    rf"\b{_NOT}\b(?=\W*$|\s(?:\w+\s)?(?:{_RIGHT}|{_IS}|an?|the|enough|whole)\b|\s\d"
    rf"|\s(?:\w+\s)?be(?:\W*$|\s(?:\w+\s)?(?:{_RIGHT}|equal|more|less|greater|smaller|larger|negative|an?|the)\b|\s\d))",
    re.IGNORECASE,
)
_THAN_THOUGHT = re.compile(r"\bthan\s(?:\w+\s){1,3}(?:thought|supposed|assumed|guessed|imagined)\b", re.IGNORECASE)
"""What is only compared with: "$12 more than she had thought"."""
_COUNTED = re.compile(r"^\W{0,3}(?:\w+\s)?(?:mistakes|errors|guesses|claims|thoughts)\b", re.IGNORECASE)
"""Right behind a number they are what is counted."""


def hedged(text: str, behind: str, left: Expression, right: Expression, apart: Fraction) -> bool:
    """Whether the sentence around an equation doesn't state it, or what follows it takes it back.

    `text` is its line, `behind` what follows that; `apart` is by how much its sides differ.
    """
    start, end = left.tokens[0].start, right.tokens[-1].end
    begin = max((match.end() for match in _SENTENCE.finditer(text, 0, start)), default=0)
    close = _SENTENCE.search(text, end)
    sentence = text[begin : close.start() if close else len(text)]
    if sentence.rstrip().endswith("?") or _OTHER_ARITHMETIC.search(sentence) or _REJECTED.search(text[end : end + REACH]):
        return True
    digit = right.single is not None and right.single.value in range(10)
    if (digit and apart % 10 == 0 and _DIGITS.search(sentence)) or (abs(apart) in {12, 24} and _CLOCK.search(sentence)):
        return True
    head = _RELATIVE.sub("", _CLAUSE.split(text[max(begin, start - REACH) : start])[-1])
    tail = _RELATIVE.sub("", _COUNTED.sub("", _CLAUSE.split(text[end : min(end + REACH, begin + len(sentence))])[0]))
    tail = _THAN_THOUGHT.sub("", tail)
    if _HEDGE.search(head) or _HEDGE.search(tail) or _TRIED.search(head):
        return True
    if _DENIED_BEFORE.search(head) or _DENIED_BEHIND.search(tail) or _IF_COUNTED.search(tail):
        return True
    supposed = _IF.search(head)
    if supposed and len(supposed["what"].split()) < _MEANT:
        alone = head == text[begin:start] and not supposed.start()
        if not (alone and _NOTHING_MORE.fullmatch(text, end, begin + len(sentence))):
            return True
    taken = taken_back(f"{text[end : end + AFTERWARDS]}\n{behind}", 0)
    return taken is not None and not taken.hedges
