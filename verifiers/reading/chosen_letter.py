"""Sentences that choose a letter without announcing an answer: "B fits best", "The most likely diagnosis is **B. Embolism**"."""

from __future__ import annotations

import re

from verifiers.reading.sentences import taken_back

FITS = re.compile(
    r"""(?:^|[.!?]\s{1,2})[ \t•+-]{0,6}
    (?:(?i:so|thus|hence|therefore|overall|clearly|in\s(?:conclusion|summary|short)|on\s(?:reflection|balance)|of\s(?:these|the\s(?:[a-z]+\s)?(?:options|choices|answers|statements|three|four|five))
    |(?:since|because|after)\s[^,.;:!?\n]{1,80}),?\s)?
    (?:I(?:['\u2019]d|\swould)?\s(?:think|believe|conclude|say)\s(?:that\s)?)?(?:(?i:the\s)?(?i:option|choice|answer)\s{1,2})?
    [*_(]{0,3}(?P<letter>[A-Z])[*_)]{0,3}\s(?:clearly\s)?
    (?:(?:fits|works|matches|suits|describes|answers|completes|represents)(?:\s(?!(?:not|first|second|third|last|next|less)\b)[a-z]+){0,5}?\sbest
    |best\s(?:fits|matches|suits|describes|answers|completes|represents)(?:\s(?!(?:not|first|second|third|last|next|less)\b)[a-z]+){0,5}?
    |is\s(?:the\s)?best(?:\s(?:fit|match))?|is\sthe\sbetter\s(?:fit|match))
    (?=[.!*_]{0,4}\s*(?:$|\n)|[.!]\s|,?\s(?:because|since|as|due)\b)""",
    re.MULTILINE | re.VERBOSE,
)
"""A letter that fits best, in a sentence of one's own: "many say that B fits best" chooses nothing."""
CORRECT_ELSEWHERE = re.compile(
    r"""(?:^|[.!?]\s{1,2})[ \t•+-]{0,6}(?:(?i:also|daher|somit|donc|ainsi|entonces|portanto|quindi|dunque),?\s)?
    (?:(?i:die|la|[ao])\s|[Ll]['\u2019])?
    (?:(?i:antwort|option|opci[óo]n|opção|opzione|réponse|respuesta|resposta|risposta|alternativa|letra)\s)?
    [*_(]{0,3}(?P<letter>[A-Z])[*_)]{0,3}\s(?:ist|est|es|é|è)\s(?:die\s|la\s|a\s|il\s|o\s)?
    (?:richtig|korrekt|correct[eao]?|corret[ao]|corrett[ao]|just[eao]|bonne\sréponse|richtige\sAntwort|(?:respuesta|resposta|risposta)\scorr\w+)
    (?=[.!*_]{0,4}\s*(?:$|\n)|[.!][*_]{0,3}\s|,?\s(?:weil|da|denn|car|parce|puisque|porque|pois|perché)\b)""",
    re.MULTILINE | re.VERBOSE,
)
"""The same as "B is correct" in German, French, Spanish, Portuguese, Italian."""
ONLY_TRUE = re.compile(
    r"(?:^|[.!?]\s{1,2})[ \t•+-]{0,6}(?:(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore),?\s)?[Oo]nly\s"
    r"(?:(?:option|choice|statement|answer)\s)?"
    r"[*_(]{0,3}(?P<letter>[A-Z])[*_)]{0,3}\sis\s(?:true|correct|right|valid)(?=[.!*_]{0,4}\s*(?:$|\n)|[.!]\s|,?\s(?:because|since|as)\b)",
    re.MULTILINE,
)
UNSURE = re.compile(
    r"\b(?:if|suppos\w+|assum\w+|unless|whether|might|may|could|not|never|cannot"
    r"|wenn|falls|ob|weder|nicht|vielleicht|si|ne|ni|pas|peut-être|quiz[áa]s?|se|caso|nem|não|né|non|forse)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
SUPPOSED = re.compile(r"\b(?:if|suppos\w+|assum\w+|unless|whether|were)\b", re.IGNORECASE)
"""Before ", so it is B": what is denied there only leads to it."""
MOST = (
    r"most\s(?:likely|appropriate|accurate|suitable|probable|plausible|reasonable|precise|fitting|consistent|logical|relevant"
    r"|sensible)"
)
BEST_IS = re.compile(
    rf"""(?:^|[.!?]\s{{1,2}}|[,;]\s(?:(?i:so|but|and|thus|hence|therefore),?\s)?)[ \t•+-]{{0,6}}
    (?:(?i:so|thus|hence|therefore|overall|clearly|in\s(?:conclusion|summary|short)|based\son\s[^,.;:!?\n]{{1,80}}|given\s[^,.;:!?\n]{{1,80}}),?\s)?
    (?i:the|our|my)\s(?:(?:single|next)\s)?
    (?:{MOST}\s(?:[a-z-]+\s){{0,4}}?|(?:best|closest|nearest|correct|right)\s(?:[a-z]+\s){{0,2}}?
        (?:fit|match|option|choice|answer|one|description|explanation|statement|response|candidate|alternative|step|approach
        |interpretation|conclusion|pick|selection|diagnosis|treatment|management)\s(?:here\s)?|(?:only\s)?exception\s)
    (?:is|would\sbe|must\sbe|remains)\s(?:(?:therefore|thus|then|clearly)\s)?(?:(?i:option|choice|answer|statement)\s)?
    [*_]{{0,3}}(?:\((?P<bracketed>[A-Z])\)|(?P<plain>[B-HJ-Z])|(?P<last>A))[*_]{{0,3}}
    (?=[.!*_]{{0,4}}\s*(?:$|\n)|(?<!A)[.!]\s|,?\s(?:because|since|as)\b)""",
    re.MULTILINE | re.VERBOSE,
)
"""A letter behind what is only said of an answer: "the closest option is C", "the most likely diagnosis is B"."""
SETTLES = re.compile(
    rf"[,;.]\s(?:but|however,|though|yet)\s(?:I(?:['\u2019]d|\swould)?\s(?:think|say)\s)?(?:(?i:option|choice)\s)?\(?(?P<letter>[A-Z])\)?"
    rf"\s(?:is|seems|would\sbe)\s(?:clearly\s)?(?:the\s)?(?:best|better|correct|right|{MOST})(?:\s(?:answer|option|choice|one|fit|match))?[.!]?\s*$"
)
"""How a line that names several ends: "Both A and B seem plausible, but B is the best answer."."""
ELIMINATES = re.compile(
    r"\W{0,4}(?:(?i:options|choices)\s)?[A-Z](?:,?\s(?:and\s)?[A-Z]){1,4}\s(?:are|were|can\sbe)\s(?:all\s|both\s|clearly\s)?"
    r"(?:wrong|incorrect|out|false|eliminated|excluded|ruled\sout)\b"
)
"""How a line begins that names what isn't the answer: "A and C are wrong."."""
_SEVERAL = re.compile(
    r"\W{0,4}(?:both|while|although|though|either)?\b[^.;!?\n]{0,80}\b(?:seem|look|appear|sound|could|might|may|are\s(?:plausible|tempting|close))\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?:is|are|was|be|remains)(?:\s(?:therefore|thus|then|clearly|most\slikely|probably))?:?\s(?:(?i:option|choice|answer|statement)\s)?"
    r"(?P<open>\()?(?P<letter>[A-Z])(?P<close>[).:])\s(?P<text>[^.!?;\n]{1,120}(?:\.\d[^.!?;\n]{0,60})?)[.!]?\s*$"
)
"""A line's end: "… is B) Paris."."""
_BOLD_OPTION = re.compile(r"\*\*\(?([A-Z])[).:]{1,2}\s[^*\n]{1,160}\*\*")
_OF_OTHERS = re.compile(
    r"\b(?:wrong|incorrect|false|distractors?|tempting|mistaken?|trap|decoy|first|second|third|fourth|last|next\soption|another|other|others|also"
    r"|alternative|runner-up|eliminated?|excluded?|rejected?|ruled|dismissed?|some|many|people|students?|user|you|they|someone|example"
    r"|misconception|guess|if|when|can|opposite|previous|nobody|none|initially|originally|perhaps|maybe|possibly|least|except|exception|without|before|until|unlikely|less|seems?|appears?|tempt\w*|supposedly|allegedly)\b"
    r"|\w['\u2019]s\s(?:choice|answer|pick|option)\b",
    re.IGNORECASE,
)
"""In the sentence of a letter that may not be the writer's own answer."""
_TOLD = re.compile(r"\baccording\sto\b|\buntil\b", re.IGNORECASE)
_NOT_MINE = re.compile(
    r"\b(?:initially|originally|at\sfirst|na[iï]vely|nobody|some|many|people|students?|you|they|user|might|may|could|perhaps|maybe)\b",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?<![\w'\u2019])(?!I\b|A\s[a-z])[A-Z](?![\w'\u2019-])")
_BEFORE = 160
"""Characters of its sentence that may suppose something."""
_NEAR = 60
"""Characters behind a sentence that may take it back."""


def bold_options(text: str) -> frozenset[str]:
    """Return the letters of options that stand in bold: "**B. Paris**"."""
    return frozenset(_BOLD_OPTION.findall(text))


def named(line: str, bold: frozenset[str], choices: str) -> set[str]:
    """Return the only letter of a line's last sentence, where that ends with it and its option: "It is **B) Paris**."."""
    found = _NAMED.search(line[-400:])
    if found is None or found["letter"] not in choices or (found["close"] != ")" and found["letter"] not in bold):
        return set()
    lead = found.string[: found.start()]
    lead = lead[max(lead.rfind(mark) for mark in (". ", "! ", "? ", ": ")) + 1 :]
    told = _TOLD.search(found["text"])
    others = {each for each in _LETTER.findall(f"{lead} {found['text']}") if each in choices} - {found["letter"]}
    doubted = any(doubt.search(each) for doubt in (UNSURE, _OF_OTHERS) for each in (lead, found["text"].partition(",")[2]))
    return set() if others or doubted or told or not lead.strip() else {found["letter"]}


def settled(line: str, choices: str) -> str:
    """Return the letter that is preferred where a line names several; empty where none is."""
    found = SETTLES.search(line[-400:])
    return found["letter"] if found and found["letter"] in choices and _SEVERAL.match(line) else ""


def stated(pattern: re.Pattern[str], text: str, choices: str) -> list[str]:
    """Return the letters of a pattern's sentences that are neither doubted nor taken back."""
    found: list[str] = []
    for match in pattern.finditer(text):
        letter = match[match.lastgroup or 0]
        back = taken_back(text[match.start() : match.end() + _NEAR], match.end() - match.start())
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        lead = before[max(map(before.rfind, ".!?\n")) + 1 :]
        supposed = SUPPOSED.search(lead) or _NOT_MINE.search(lead) or _NOT_MINE.match(match[0].lstrip())
        doubted = UNSURE.search(match[0]) or supposed or (back and not back.hedges)
        if letter in choices and letter != "I" and not doubted:
            found.append(letter)
    return found
