"""Which letter of a multiple-choice response is its answer. A letter that may be a word ("a dog", "A dog") isn't one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifiers.reading.chosen_letter import (
    BEST_IS,
    CORRECT_ELSEWHERE,
    ELIMINATES,
    FITS,
    MOST,
    ONLY_TRUE,
    SUPPOSED,
    UNSURE,
    named,
    settled,
    stated,
)
from verifiers.reading.sentences import DISAGREES, first_sentence, taken_back


@dataclass(frozen=True, slots=True)
class Letter:
    """A choice that was read."""

    letter: str
    """Upper case."""
    end: int
    """Where it ends in the text that was given."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Letters stand there, and none is the answer."""

    why: str
    """For a person."""
    negated: bool = False
    """The text says which letter isn't the answer."""


_HEAD = re.compile(
    r"""[\s"'“”\u2018\u2019「『:=>.#\u2705\u2714\u2611\ufe0f\u27a1\u2192\U0001f449-]*(?P<not>\b(?:not|neither)\s+)?
    (?:(?:definitely|clearly|therefore|probably|(?:most\s)?likely|certainly|simply|indeed|both|either|the|la|die|[ao](?=\s(?:al|le|op)))\s+)*+
    (?:\(?(?:option|choice|answer|letter|opción|opção|opzione|optie|alternativa|let(?:ra|tera)|réponse|antwort|вариант|选项)\s*+:?\s*+)?["'“\u2018「『]?
    (?P<open>[(\[])?\s?(?P<letter>[A-Za-z])(?P<close>\s?[)\]])?(?![\w'\u2019&/-]\S|[+#]|\s?=|\.[a-z](?:\.|$))(?P<rest>.*)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_PUNCTUATED = re.compile(r"""["'”\u2019」』]?\s*(?:$|[\u2705\u2713\u2714\u2611]|[.,:;)\]!\u3002]|[—\u2013-]\s)""")
_COPULA = re.compile(
    r"(?<![A-Za-z])([A-Z][」』]?)(?:です|でした|である|だ|입니다|이다|예요|이에요|\sहै|['\u2019]?d[\u0131iuü]r)(?=[\s.!,\u3002\u0964]|$)"
)
_BUT_ANOTHER = re.compile(r",?\s(?:but|sondern|sino|mais|mas|ma|maar)\s\(?[A-Z]\b")
_RATHER = re.compile(r"(?<=[A-Z])(?=而是)")
_IN_BRACKETS = re.compile(
    r"[^().,;:?!=]{1,60}(?:\s\((?:(?i:option|choice)\s)?([A-Z])\)|,?\s(?:which\sis\s)?(?i:option|choice|letter)\s([A-Z]))\W*"
)
_LABELLED = re.compile(r"(?i:\b(?:option|choice|statement))\s\(?([A-Z])\)?:")
_SAYS_MORE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|does|do|did|not|no|wrong|false|incorrect|would|could|might|may|can|cannot)\b|n['\u2019]t\b|[?\u274c\u2717\u2718]",
    re.IGNORECASE,
)
_OPTION_LINE = re.compile(r"[^\w(]{0,4}\(?([A-Z])[).:]\s+(\S.{0,200})")
_SPEAKS_OF_IT = re.compile(
    r"\s+(?:because|since|as|is|and|or|for|due|so|not|but|rather|given|which|would|with|in|by|based)\b|\s*[(\[/&]", re.IGNORECASE
)
_OTHER = (
    r"\s*[\"'”]?[,;(]?\s*(?:\b(?:or|and|nor|but|to|oder|und|ou|et|o|y|или|as\swell\sas|along\swith|together\swith)\b|/|&|,|、|\+|或|还是|和)\s*"
    r"(?:(?:maybe|perhaps|possibly|also|rather|option|choice|even|instead|both)\s*){0,3}"
)
_CASES = (
    r".{{0,60}}?[,;]\s(?:(?i:otherwise|or\selse|else)\b[^.;]{{0,40}}?|(?i:but\s(?:now|then)\sit(?:\sis|['\u2019]s)))"
    r"[\s(\[](?P<letter>(?!I\b|A\s[a-z])[{}])(?![\w'\u2019])"
)
"""Behind a letter: "; otherwise it is C"."""
_ONLY_IF = re.compile(
    r",?\s(?:(?:but|and)\s)?(?:only\s)?(?:if|when|unless|provided|assuming|except)\b(?!\s(?:we|you|i|one|all|rounded|simplified|reduced)\b)",
    re.IGNORECASE,
)
"""Behind a letter without brackets, which is the answer in one case: "B if x > 0". "(B) if it rains" may be the option's text."""
_BY_CASES = (
    r".{{0,60}}?(?:,|;|\b(?:and|or|but))\s(?:(?i:option|choice)\s)?"
    r"\(?(?P<letter>[{}])\)?\s\(?(?:for|in|when|if|on|otherwise)\b"
)
"""Behind a letter: "for men and C for women"."""
_RULED_OUT = re.compile(
    r"\W{0,4}\s(?:değil\b|(?:is|was|are|would be|seems|can)\b.{0,20}?(?:\bnot\b|n['\u2019]t\b|wrong|incorrect|false)"
    r"|(?:is|was|would\sbe)\s(?:only\s|just\s)?(?:an?|the)\s(?:\w{1,12}\s)?(?:distractor|trap|decoy|mistake)\b"
    r"|(?:is|ca|would)n['\u2019]t\b|cannot\b)",
    re.IGNORECASE,
)
_ENUMERATES = re.compile(r"(?m)^[ \t*_>\u2705\u2714\u2611\u274c\u2717\u2718\ufe0f-]{0,6}\(?([A-Za-z])[).:](?=\s|$|\*)")
_IS_CORRECT = re.compile(
    r"(?:\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ss]tatement)\s{1,2}\(?|\("
    r"|^[*_]{0,3}|(?:^[ \t•+-]{1,6}|[.,;!]\s{1,2}(?:(?:[Aa]lso|[Ss]o|[Tt]hen|[Aa]nd|[Bb]ut|[Oo]nly),?\s)?)[*_]{0,3}"
    # "Among vitamins, C is the best known" chooses nothing.
    rf"(?=\S{{1,7}}\s(?:is|would be|must be)\s(?:not\s)?(?:the\s)?(?:(?:in)?correct|right|wrong|best|better|{MOST})?"
    r"\s?(?:answer|option|choice)?"
    r"[*_]{0,3}(?:[.,;!\n]|\s(?:because|since|as|and|but|too)\b|$)))(?P<letter>[A-Z])\)?[*_]{0,3}[ \t]{1,3}"
    r"(?:is|would be|must be)\s(?P<not>not\s)?(?:the\s|our\s|my\s)?"
    rf"(?P<verdict>(?:best|{MOST}|better)(?=\s(?:answer|option|choice|one|explanation|response|fit|match)\b(?!\s(?:if|when|to)\b))"
    rf"|(?:best|{MOST})(?=[.!]|\s*$|,?\s(?:because|since)\b)"
    r"|correct|right|best(?!\s(?:answer|option|choice|one)\s(?:if|when|to)\b)|answer|final|incorrect|wrong|pick|choice|what\swe\s(?:want|need)"
    r"|one\s(?:that|which)\s(?:fits|matches|works|satisfies))\b",
    re.MULTILINE,
)
_NOT_MEANT = re.compile(
    r"\s(?:left|avoid\w*|ignored|skipped|forgotten|rejected|excluded|discarded|eliminated|ruled|dismissed|described|characteri[sz]ed"
    r"|seen|thought|treated|regarded|viewed|understood|kept|saved|wrong|incorrect|false|distractor|trap|decoy|of\sthe\s(?:wrong|false|rest)"
    r"|out(?=[.,;!]|$)|next\sto|beside|behind|above|below|unless|only\s(?:if|when))\b",
    re.IGNORECASE,
)
"""Behind "B is best", "B is right", "B is the best": it says something else of B."""
_REFUSED = re.compile(
    rf"[\s.,!*_>\"]{{0,6}}(?:but\s)?(?:{DISAGREES}"
    r"|(?:no|(?:that|this|it)(?:\sis|['\u2019]s)\s(?:wrong|incorrect|false|not\s(?:right|correct|true)))[.!]?\s*(?:$|\n))",
    re.IGNORECASE,
)
"""Right behind "B is correct", which somebody else said."""
_SUPPOSES = re.compile(r",?\s(?:answer\s|choice\s|option\s)?(?:if|were|had|only|provided)\b", re.IGNORECASE)
"""Behind "B would be correct"."""
_BUT_IT_IS = (
    r".{{0,60}}?\bbut\s(?:it(?:\sis|['\u2019]s)|the\s(?:\w{{1,12}}\s)?answer(?:\sis|['\u2019]s))\s(?:actually\s|really\s|in\sfact\s)?"
    r"(?:option\s|choice\s)?\(?(?P<letter>[{}])(?=[).,;!]|\s*$|\s(?:because|since|as)\b)|\s?(?:\u2192|\u21d2|->|=>)\s?\(?(?P<to>[{}])(?![\w'\u2019])"
    r"|\.\s\(?(?P<next>[{}])\)?\.\s*$|.{{0,60}}?,?\sbut\s(?:really\s|actually\s|in\sfact\s|rather\s)?(?:option\s|choice\s)?\(?(?P<but>[{}])\)?[.!]?\s*$"
    r"|.{{0,60}}?;\s(?:option\s|choice\s)?\(?(?P<then>[{}])\)?\sis\s(?:the\s)?(?:right|correct|best|answer)\b"
)
"""Behind a letter that another one replaces in its own sentence: "looks right but it's C", "→ C"."""
_TICKED = re.compile(
    r"^[ \t>•*+-]{0,6}(?:[\u2705\u2713\u2714\u2611]\ufe0f?[\s*(]{0,4}([A-Z])[).:*]{0,3}"
    r"|[*(]{0,3}([A-Z])[).*]{0,3}\s?[\u2705\u2713\u2714\u2611]\ufe0f?)\s*$",
    re.MULTILINE,
)
"""A letter with a tick on a line of its own."""
_TRUE_OR_FALSE = re.compile(r"(?:\b(?:[Oo]ption|[Cc]hoice)\s\(?|\()(?P<letter>[A-Z])\)?\sis\s(?P<verdict>true|false)\b")
_CORRECT_IN_CHINESE = re.compile(r"(?<![A-Za-z])([A-Z])\s?(?:选项|選項|项|項)?(?:的说法|说法)?[是为]?(?:正确|正確)(?![率性])")
_JUDGED_LINE = re.compile(
    r"^[ \t>•+-]{0,6}(?:(?:[Oo]ption|[Cc]hoice)\s)?\(?(?P<letter>[A-Z])[).:][^\n]{0,200}?"
    r"(?P<verdict>[\u2705\u2713\u2714\u2611]|[\u274c\u2717\u2718]|\b(?:[Cc]orrect|[Rr]ight|[Tt]rue|[Ii]ncorrect|[Ww]rong|[Ff]alse)\b)[\s.!)]{0,3}$",
    re.MULTILINE,
)
"""An option with what it is: "B) Paris ✅", "- C: False"."""
_JUDGED_FIRST = re.compile(
    r"^[ \t>•+-]{0,6}(?:(?:[Oo]ption|[Cc]hoice)\s)?\(?(?P<letter>[A-Z])[).:]\W{1,4}"
    r"(?P<verdict>Correct|Right|True|Incorrect|Wrong|False)[.:,!]?(?=\s|$)",
    re.MULTILINE,
)
"""The same where what it is comes first: "B. Correct. Paris is in France."."""
_GOOD = frozenset(("\u2705", "\u2713", "\u2714", "\u2611", "correct", "right", "true"))
_JUDGED = 3
"""Choices, one of them true and the others false, of which the true one is the answer."""
_CHOOSES = re.compile(
    r"""(?:(?i:\bi(?:['\u2019](?:d|ll)|\swould|\swill)?\s(?:choose|pick|select|go\swith|say)|\bi(?:['\u2019]m|\sam)\sgoing\swith|\bmy\s(?:choice|pick)\sis
    |(?P<weak>\b(?:which|that|this)\sis|\b(?:corresponds|points|leads)\sto)
    |(?P<told>(?:^|[.\n]\s?)(?:choose|pick|select)|\b(?:that|this|which)\s(?:only\s)?leaves(?:\sus)?(?:\s(?:only|with))?
        |\bwe(?:['\u2019]re|\sare)\s(?:only\s)?left\swith)|\bmatches(?:\swith)?|(?:[\u2192\u21d2]|=>|->)|(?P<bare>(?:^|[.;\n]\s?)(?:it(?:\sis|['\u2019]s)|c['\u2019]est|(?:das|es)\sist|es\sla))
    |\bi\s(?:think|believe|conclude)\s(?:that\s)?(?:it\sis|it['\u2019]s)|\b(?:it|this)\s(?:must|should|has\sto)\sbe
    |(?P<concludes>[,;.]?\s?\b(?:so|thus|hence|therefore)[,:]?(?:\s(?:it\sis|it['\u2019]s|it\smust\sbe|only))?)|\bonly)\s{1,2}(?:the\s)?)
    (?P<named>(?i:answer|option|choice|letter)\s)?[*_]{0,3}(?P<open>\()?(?P<letter>[A-Z])(?(open)\))[*_]{0,3}
    (?!,?\s(?:too|also)\b|,?\s(?:(?:and|or)\s)?(?:[A-HJ-Z]\b(?!['\u2019])|\([A-Z]\))|\.\s?[a-z])
    (?=\s*(?:[.,;:!)]|$)
    |\s(?:over|rather\sthan|instead\sof)\s(?:(?i:option|choice)\s)?\(?[A-Z]\)?(?:\s*(?:[.;!]|$|\n)|,?\s(?:because|since|as)\b)
    |\s(?:because|since|fits|satisfies|works|matches|meets|holds|is\s(?:correct|right|the\s(?:answer|correct|right|best)))\b)
    (?(told)(?=[*_.!]{0,4}\s*(?:$|\n)|,?\s(?:because|since|as)\b))  # "Choose B. Then draw a circle" chooses nothing
    """,
    re.VERBOSE,
)
"""Words of choosing without the word "answer"; a letter that may be a word needs brackets, or "option"."""
_DIFFERS = re.compile(r"\b(?:not|or|and|nor|but|except|than|of)\b|n['\u2019]t\b", re.IGNORECASE)
_ENDS = re.compile(r"\s*(?:[.!]?\s*$|[.!]?\s*\n|[.!]\s+[A-Z(\"'])")
"""The end of the sentence: "It is C.", but not "It is C, found in fruit"."""
_ONE_MORE = (
    r"[\s)*.,]{{0,4}}(?i:or|maybe|perhaps|possibly|but)\b[^.!?\n]{{0,30}}?"
    r"(?<!['\u2019])\b(?P<letter>(?!I\b)[{}])\b(?!['\u2019])"
)
_SAYS_OF_IT = re.compile(r"\s+(?:is|was|are|would|could|may|might|seems|looks|and|or)\b")
_STANDS_ALONE = re.compile(
    r"""["'”\u2019」』】]?\s*(?:$|[.,:;)\]!\u3002\u2705\u2713\u2714\u2611]|[—\u2013-]\s|(?:because|since|as|due|rather\sthan|instead\sof)\b|\((?:not|because|since|most\slikely)\b)"""
)
_EXPLAINED = re.compile(
    r"\W{0,6}(?:explanation|reasoning|justification|rationale|analysis|why|here['\u2019]s\swhy|because)\b", re.IGNORECASE
)
"""The line behind an answer, which lists the other options too."""
_JOINS = re.compile(r"\b(?:or|and|nor|except|but)\b", re.IGNORECASE)
_LAST_IN_BRACKETS = re.compile(r"(?:^|[^,;(\s]\s)\((?:(?i:option|choice|answer)\s)?([A-Z])\)[.\s]*$")


def in_sentence(sentence: str, choices: str) -> Letter | Unclear | None:
    """Return the letter that begins a plain sentence, or None where it begins with none."""
    sentence = _RATHER.sub(", ", _COPULA.sub(r"\1", sentence))
    match = _HEAD.match(sentence)
    if not match or match["letter"].upper() not in choices:
        return None
    letter, rest = match["letter"], match["rest"]
    if not _is_choice(match):
        return None
    ruled_out, only_if = _RULED_OUT.match(rest), not match["close"] and _ONLY_IF.match(rest)
    if ruled_out or only_if:
        why = "what it isn't" if ruled_out else "in one case"
        return Unclear(f"only {why}: {letter}", negated=ruled_out is not None)
    other = re.match(rf"{_OTHER}[(\[]?(?P<letter>[{choices}])(?![\w'\u2019])", rest)
    if match["not"]:
        but = re.search(
            r"(?:(?:\b(?:but|rather|sondern|sino|mais|mas|ma|maar),?\s|而是\s?)(?:(?:it|the\sanswer)(?:\sis|['\u2019]s)\s)?|[,;:\u2014-]\s?(?:so\s)?(?:it|the\sanswer)(?:\sis|['\u2019]s)\s)(?:rather\s)?"
            rf"(?:option\s|choice\s)?[(\[]?(?P<letter>[{choices}])(?=[)\].,;!\u3002]|\s*$|\s(?:because|since|as|instead)\b)",
            rest,
        )
        return Letter(but["letter"], match.end()) if but else Unclear(f"only what it isn't: {letter}", negated=True)
    other = other or re.match(rf"\s*[,;]?\s*[(\[]?(?P<letter>[{choices}])\s*(?:[)\],;]|$)", rest)
    other = other or re.match(_CASES.format(choices), rest, re.DOTALL) or re.match(_BY_CASES.format(choices), rest)
    other = other or re.match(_BUT_IT_IS.format(*[choices] * 5), rest)
    if other and (another := next(filter(None, other.groups()))) != letter.upper():
        return Unclear(f"several choices: {letter.upper()} and {another}")
    return Letter(letter.upper(), match.start("rest"))


def in_brackets(sentence: str, choices: str) -> Letter | None:
    """Return the letter that stands in brackets behind the text of its option: "Venus (B)"."""
    behind = None if _DIFFERS.search(sentence) else _IN_BRACKETS.fullmatch(sentence)
    letter = (behind[1] or behind[2]) if behind else ""
    return Letter(letter, len(sentence)) if letter and letter in choices else None


def _is_choice(match: re.Match[str]) -> bool:
    letter, rest = match["letter"], match["rest"]
    if match["close"] or _PUNCTUATED.match(rest):
        return True
    if match["open"]:  # "(a dog)"
        return False
    named = match.string[match.end("not") if match["not"] else 0 : match.start("letter")].lower()
    if letter.isupper() and any(word in named for word in ("option", "choice", "letter")):
        return True
    if match["not"] and _BUT_ANOTHER.match(rest):
        return True
    if letter in "aAI":  # the article, the pronoun
        return letter != "a" and _SPEAKS_OF_IT.match(rest) is not None
    return letter.isupper() or _SPEAKS_OF_IT.match(rest) is not None


def _chosen(text: str, choices: str) -> Iterator[str]:
    """Yield the letters that a text says that it chooses, or that are correct."""
    another = re.compile(_ONE_MORE.format(choices))
    for match in _CHOOSES.finditer(text):
        statement = "" if match[0][0] in ".;\n" else text[max(0, match.start() - 120) : match.start()]
        plain = not match["weak"] and match["letter"] not in "AI"
        if match["letter"] not in choices or not (match["open"] or match["named"] or plain):
            continue
        if match["told"] and taken_back(text[match.start() : match.end() + _NEAR], match.end() - match.start()):
            continue
        if match["bare"] and not (match["open"] or match["named"] or _ENDS.match(text, match.end())):
            continue
        unsure = SUPPOSED if match["concludes"] and match["concludes"][0] in ",;" else UNSURE
        if unsure.search(statement[max(map(statement.rfind, ".;!?\n")) + 1 :]):
            continue
        yield match["letter"]
        if more := another.match(text, match.end()):
            yield more["letter"]
    yield from (letter for letter in _CORRECT_IN_CHINESE.findall(text) if letter in choices)
    fitting = set(stated(FITS, text, choices))
    yield from fitting if len(fitting) == 1 else ()  # "A best describes mammals. B best describes birds." tells them apart
    yield from stated(CORRECT_ELSEWHERE, text, choices)
    yield from stated(ONLY_TRUE, text, choices)
    yield from stated(BEST_IS, text, choices)
    yield from (letter for ticked in _TICKED.findall(text) for letter in ticked if letter and letter in choices)
    for match in _IS_CORRECT.finditer(text):
        negative = bool(match["not"]) != (match["verdict"] in {"incorrect", "wrong"})
        supposed = " would " in match[0] and _SUPPOSES.match(text, match.end())
        refused = _NOT_MEANT.match(text, match.end()) or _REFUSED.match(text, match.end())
        if negative or supposed or refused:
            continue
        if match["letter"] in choices:
            yield match["letter"]


def chosen(text: str, choices: str) -> str:
    """Return the one letter that a short text says that it chooses; empty where there is none, or several."""
    text = text.lstrip(" ,:;.\u2014-")
    sentence = first_sentence(text, abbreviations=False)
    first = None if sentence.asks else in_sentence(sentence.text, choices)
    found = set(_chosen(text, choices)) | ({first.letter} if isinstance(first, Letter) and _ends_there(text, first) else set())
    return found.pop() if len(found) == 1 else ""


def _only_true(text: str, choices: str) -> set[str]:
    """Return the one choice that a text calls true where it calls all others that it judges false."""
    judged = [match for pattern in (_TRUE_OR_FALSE, _JUDGED_LINE, _JUDGED_FIRST) for match in pattern.finditer(text)]
    verdicts = {match["letter"]: match["verdict"].lower() for match in judged if match["letter"] in choices}
    true = {letter for letter, verdict in verdicts.items() if verdict in _GOOD}
    return true if len(true) == 1 and len(verdicts) >= _JUDGED else set()


def _ends_there(line: str, choice: Letter) -> bool:
    """Whether what follows a letter says nothing of it: "(A) is tempting" does."""
    closed = line[choice.end - 1] in ")]" and not _SAYS_OF_IT.match(line, choice.end)
    return closed or _STANDS_ALONE.match(line, choice.end) is not None


def _last_in_brackets(text: str, line: str, choices: str) -> set[str]:
    """Return the letter in the only brackets of a text, at its end: "The capital is Paris. (B)"."""
    behind = _LAST_IN_BRACKETS.search(line)
    plain = behind is not None and text.count("(") == 1 and not UNSURE.search(line) and not _JOINS.search(line)
    return {behind[1]} & set(choices) if behind and plain else set()


def _restated(lines: list[str], choices: str) -> set[str]:
    """Return the letter of an option that is listed before, and stands again on the last line."""
    last, before = _OPTION_LINE.fullmatch(lines[-1].strip()), [_OPTION_LINE.fullmatch(line.strip()) for line in lines[:-1]]
    if last is None or last[1] not in choices or not before or (before[-1] and ord(before[-1][1]) + 1 == ord(last[1])):
        return set()
    again = any(each and each[1] == last[1] and each[2].startswith(last[2].rstrip(" .")) for each in before)
    return {last[1]} if again else set()


_NEAR = 80
"""Characters behind a choice that may take it back."""
_LEADS_ELSEWHERE = re.compile(
    r"\b(?:reject|rul(?:e|es|ed|ing)\sout|exclud|eliminat|cross(?:ed|ing)?\sout|discard|dismiss|wrong|incorrect|false|not\b)|n['\u2019]t\b",
    re.IGNORECASE,
)


def _names_option(lines: list[str], listed: set[str], choices: str) -> bool:
    """Whether a text ends with one option alone, below what leads to it: "B. Paris". An "A." may begin a list that ends there."""
    last = _OPTION_LINE.fullmatch(lines[-1].strip()) if len(lines) > 1 and len(listed) <= 1 else None
    if last is None or last[1] == choices[0] or _SAYS_MORE.search(last[2]):
        return False
    # "Best regards,", "References" and "We can exclude one option." lead to something else.
    return lines[-2].rstrip(" *_").endswith((".", "\u3002")) and not _LEADS_ELSEWHERE.search(lines[-2])


def unannounced(text: str, choices: str, bold: frozenset[str] = frozenset()) -> Letter | Unclear | None:
    """Return the letter of a plain response without a marker: it begins the response, is its last line, or "is correct"."""
    lines = [line for line in (text[:2000].strip() + "\n" + text[-2000:].strip()).splitlines() if line.strip()]
    if not lines:
        return None
    listed = _listed(text, lines[0], choices)
    first = _first(lines, listed, choices)
    if isinstance(first, Unclear):
        return first
    found = set(_chosen(text[-20_000:], choices))
    found |= _restated([line for line in text.splitlines() if line.strip()], choices)
    found |= {first.letter} if first else set()
    found |= named(lines[-1], bold, choices) | (named(lines[0], bold, choices) if not listed else set())
    found |= _last(lines, listed, choices)
    found = found or _last_in_brackets(text, lines[-1], choices) or _only_true(text[-20_000:], choices)
    if len(found) > 1:
        return Unclear(f"several choices: {' and '.join(sorted(found))}")
    return Letter(found.pop(), len(text)) if found else None


def _listed(text: str, first_line: str, choices: str) -> set[str]:
    """Return the letters of options that a text lists; of more than one, none is chosen by where it stands."""
    listed = {match[1].upper() for match in _ENUMERATES.finditer(text[:20_000])} & set(choices)
    return listed | set(_LABELLED.findall(text)) if _LABELLED.match(first_line.strip()) else listed


def _first(lines: list[str], listed: set[str], choices: str) -> Letter | Unclear | None:
    """Return what the first line chooses; Unclear where that is several letters, None where it is none or only denied."""
    explained = len(lines) > 1 and _EXPLAINED.match(lines[1]) is not None
    if letter := settled(lines[0], choices):
        return Letter(letter, len(lines[0]))
    first = in_sentence(lines[0], choices) if len(listed) <= 1 or explained else None
    if isinstance(first, Letter):
        return first if _ends_there(lines[0], first) else None
    return None if first is None or first.negated or ELIMINATES.match(lines[0]) else first


def _last(lines: list[str], listed: set[str], choices: str) -> set[str]:
    """Return the letter that the last line consists of, or the option that it names."""
    alone = re.fullmatch(r"\s*\(?[A-Za-z][).]?\s*", lines[-1]) or (len(listed) <= 1 and re.match(r"\s*\([A-Za-z]\)\s", lines[-1]))
    last = in_sentence(lines[-1], choices) if alone or _names_option(lines, listed, choices) else None
    return {last.letter} if isinstance(last, Letter) and _ends_there(lines[-1], last) else set()
