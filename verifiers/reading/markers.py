"""Where a response says its final answer, in words or by a sign: "The answer is", "Answer:", "A:", "####".

Every pattern is anchored at a fixed word or bounded in length, so that a hostile megabyte costs as much as a plain one.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from functools import lru_cache

from verifiers.reading.signs import MAX_MARKERS, Form, Marker, boxes, hashes, tags

_WORD = re.compile(r"[aA](?<![\w-].)(?i:nswers?)(?![\w-])", re.DOTALL)
"""Its first letter comes first: to look behind every character would take longer than to find those."""
_BEFORE = re.compile(
    r"((?:\b(?:so|and|the|my|our|your|final|correct|corrected|right|actual|real|true|revised|updated|numerical|numeric|exact|overall"
    r"|short|full)\s{1,2}){0,4})$",
    re.IGNORECASE,
)
_NOUN = re.compile(
    r"""\b(?:the|my|our|final|correct|corrected|right|actual|real|true|revised|updated|numerical|numeric|exact|overall|best|closest|only
    |most\s(?:appropriate|likely|accurate|suitable|probable|plausible|reasonable|precise))\s{1,2}$""",
    re.IGNORECASE | re.VERBOSE,
)
_VERB = (
    r"(?:is|are|was|be|equals|(?:must|should|would|will|has to) be|would\shave\sbeen"
    r"|(?:comes|works) out (?:to|at)|comes to|becomes|remains)"
)
_GAP = r"(?:[^\S\n]{1,2}|[^\S\n]?\n(?!\s))"
"""What stands between two words: no blank line, behind which something else begins."""
_IS = re.compile(
    rf"""["'*_”\u2019]{{0,3}}
    (?:,\s(?:then|therefore|thus|of\scourse),)?
    (?P<between>(?:{_GAP}(?!{_VERB}\b)(?!(?:(?:key|sheet|format)s?|choices|options)\b)[^\s.,:;!?=*+\u00d7÷]{{1,30}}){{0,10}})[*_]{{0,3}}
    (?:{_GAP}(?P<verb>{_VERB})(?P<not>\s(?:definitely\s|certainly\s)?not\b|n['\u2019]t\b)?(?!\w)|\s{{0,2}}(?P<sign>[=≈]))
    (?:\s{{1,2}}(?:therefore|thus|then|hence|simply|just|indeed|clearly|also|given\ by|equal\ to|as\ follows)\b)?
    [ \t]*:?[ \t]*""",
    re.IGNORECASE | re.VERBOSE,
)
_MAY = re.compile(r"\b(?:could|might|may)\b", re.IGNORECASE)
_ONLY_IF = re.compile(r"[^.!?\n]{0,60}?\b(?:if|unless|had)\b", re.IGNORECASE)
_HAD_IT_BEEN = re.compile(
    r"(?:^|[.!?\n])\s{0,3}(?:had|were)\b[^.!?\n]{1,100},\s(?:then\s)?(?:the\s(?:\w{1,10}\s)?)?$", re.IGNORECASE
)
_UNREAL = re.compile(
    r"(?:^\W*(?:(?:and|but|so|note(?:\sthat)?|also|however)\W+){0,2}(?:had|were)|\b(?:if|unless|supposing)\b[^.!?\n]{0,80}?\b(?:were|was|had))\b",
    re.IGNORECASE,
)
"""In a sentence that goes on with "would": it tells of what isn't so."""
_IN_A_RANGE = re.compile(
    r"\W*(?:(?:and|but|so|now)\W+)?(?:if|when|unless|assuming|suppose)\s[^,;.\n]{0,40}(?:[<>\u2264\u2265\u2260]|\\(?:leq?|geq?|neq?|lt|gt)\b)[^,;\n]{0,40},",
    re.IGNORECASE,
)
"""How a sentence begins whose answer is of one case: "If x > 0, …"."""
_ANNOUNCED = re.compile(r"\s(?:then\s)?the\s(?:\w{1,12}\s)?answer\sis\W{1,4}", re.IGNORECASE)
_OF_ANOTHER_QUESTION = re.compile(
    r"^\W*(?:but\s)?if\s(?:you\s(?:meant?|are\sasking|were\sasking)|(?:it|the\squestion)(?:\sis|['\u2019]s|\swas|\swere)\sabout)\b",
    re.IGNORECASE,
)
_OTHER_CASE = re.compile(r"\b(?:if|were|had|without|otherwise|instead|suppos\w+|unless)\b", re.IGNORECASE)
_SUPPOSES = re.compile(
    r"""\W*(?:(?:note(?:\sthat)?|remark|but|and|also|however|similarly|likewise)\b\W*){0,2}
    (?:if|when|unless|without|otherwise|should|suppos(?:e|ing)|assum(?:e|ing))\b
    (?!\s(?:we|you|i|one|he|she|they)\s(?:then|now|add|sum|combine|multiply|divide|subtract|round|simplify|convert|check|verify
        |compute|calculate|plug|substitute|solve|work|put|express|want)\b)
    (?!.*\b(?:so|thus|therefore|hence)\b)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""How a sentence begins that tells of another case, and doesn't go on with this one, as "If we then add 3" does."""
_SETTING = re.compile(
    r"""\W*(?:(?:and|but|also|however|note(?:\sthat)?)\W+)?(?:(?:ignoring|neglecting|disregarding|excluding|leaving\s(?:out|aside)|not\scounting)\b
    |before\s(?!(?:we|you|i|that|this|it)\b|\w+ing\b)|for\s(?:part|question|problem|exercise|example|instance)\b
    |for\sthe\s(?:first|second|third|previous|next|other|last)\s(?:part|question|problem|exercise|example|case)\b
    |in\s(?:the|an?)\s(?:previous|first|original|other|next|similar|simpler|worst|best|general|special|extreme)(?:[-\s]\w+)?\s(?:problem|question|case|part|example
        |exercise|scenario|version)\b
    |with\s(?:only\s|just\s)?(?:one|two|three|four|five|six|seven|eight|nine|ten|\d+|no|more|fewer|another)\s)
    (?!.*\b(?:so|thus|therefore|hence)\b)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""How a sentence begins whose answer is of another setting, where one was announced before: "Before tax, the answer is"."""
_ENDS = re.compile(r"[.!?]\s|\n")
_STATED = re.compile(r"[\s*_$(\[{\\`\"'-]{0,8}(?:\d|[A-Z]|(?<=\\)[a-z]|[a-z]\s?[=^+/]|\w+[*_]{0,2}\s*(?:[.(]|\n|$))")
"""Behind a marker: an answer, and not "found by adding"."""
_OF_A_PART = re.compile(
    r"\banswers?\s(?:for|to|of|in|on|at|per|after|before|with)\s"
    r"(?!(?:the|this|that|your|our)\s(?:\w{1,12}\s)?(?:question|problem|exercise|puzzle|riddle|task)\b)",
    re.IGNORECASE,
)
"""What is announced isn't all that is asked for: "the answer for one day is"."""
_TELLS = re.compile(r"[ \t*_]{0,8}(?:\n\s{0,8}\d{1,2}[.)]\s+[*_]{0,2}[A-Za-z]|\s{0,8}[*_]{0,2}[A-Z][\w'\u2019]*,?\s+[a-z])")
"""Behind a marker: the beginning of a solution."""
_ISNT = re.compile(r"\s{1,2}(?:is|was|ca|could|would|wo)n['\u2019]t(?: be)?\b|\s{1,2}cannot be\b", re.IGNORECASE)
_COLON = re.compile(
    r"""["'*_)\]}]{0,4}[ \t]{0,2}(?:\([^()\n]{0,40}\)[*_]{0,3}[ \t]{0,2})?(?:[:\uff1a][*_"']{0,4}|-{1,2}>|[\u2013—-][ \t])"""
    r"[ \t]*"
)
_ALONE = re.compile(r"[*_#]{0,5}[ \t]*(?=\n)")
_HEADING_START = re.compile(
    r"(?:^|\n)[ \t]{0,3}(?:#{1,6}|\*\*|__)?[ \t*_]{0,4}(?:the\s|my\s)?(?:final\s|correct\s)?$", re.IGNORECASE
)
_LINE_START = re.compile(r"(?m)^[ \t>*_#]{0,8}(?P<word>A|Ans|ANS)[*_]{0,2}[ \t]{0,2}(?::|(?<=[sS])\.)[*_]{0,2}[ \t]{0,8}")
_NOUNS = (
    "antwort", "endergebnis", "respuesta", "resultado final", "réponse", "résultat final", "resposta", "risposta",
    "risultato finale", "antwoord", "ответ", "odpowiedź", "svar", "svaret", "odpověď", "відповідь", "cevap",
    "đáp án", "câu trả lời", "jawaban", "jawabannya", "răspuns", "răspunsul", "απάντηση",
)  # fmt: skip
_UNSPACED = ("答案", "答え", "正解", "정답", "उत्तर", "الجواب", "الإجابة")
_VERBS = r"ist|lautet|beträgt|es|est|n['\u2019]est|é|è|is|wynosi|to|är|er|je|zní|є|là|adalah|ialah|este|είναι"
_OPTION_NOUNS = (
    "opción correcta", "alternativa correcta", "alternativa correta", "opção correta", "option correcte", "opzione corretta",
    "richtig", "lösung", "korrekte option", "richtige option",
    "poprawna opcja", "правильный вариант", "верный вариант", "doğru seçenek", "doğru ş\u0131k",
    "phương án đúng", "pilihan yang benar",
)  # fmt: skip
_UNSPACED_OPTIONS = ("正确选项", "正確選項", "正しい選択肢", "सही विकल्प", "الخيار الصحيح")
_ANNOUNCES = rf"""
    (?P<between>(?:[ ](?!(?:{_VERBS})\b|(?-i:[A-Z])\b)[^\W\d]{{1,20}}){{0,3}})[*_]{{0,3}}
    (?:[ ]{{0,2}}(?P<verb>(?:{_VERBS})(?![\w'])
            (?P<not>[ ](?:nicht|keine?|pas|no|non|não|niet|nie|inte|ikke|bukan)\b(?=[ ][*_$\\(]{{0,4}}\w))?
            (?:[ ](?:donc|daher|somit|also|entonces|portanto|quindi|dunque|dus)\b)?
        |(?:不|并非)?(?:是(?!否)|为|為)|は|은|는|है|هو|هي)|】|[ ]?[:\uff1a=—\u2013-]
        |[ ](?=\*\*\(?[A-Z]\)?\*\*)
        |[ ](?=[*_(]{{0,3}}[A-Z][*_)]{{0,3}}(?:[ ]है|['\u2019]?d[\u0131iuü]r\b)))
    [ \t]*[*_:\uff1a]{{0,4}}[ \t]*"""
_ELSEWHERE, _OPTION_ELSEWHERE = (
    re.compile(
        rf"""(?P<noun>\b(?:{"|".join(map(re.escape, spaced))})\b|{"|".join(map(re.escape, unspaced))}){_ANNOUNCES}""",
        re.IGNORECASE | re.VERBOSE,
    )
    for spaced, unspaced in ((_NOUNS, _UNSPACED), (_OPTION_NOUNS, _UNSPACED_OPTIONS))
)
"""The same in German, Spanish, French, Portuguese, Italian, Dutch, Russian, Polish, Swedish, Danish, Norwegian, Czech, Ukrainian,
Turkish, Vietnamese, Indonesian, Romanian, Greek, Chinese, Japanese, Korean, Hindi, Arabic."""
_DENIED = re.compile(
    r"\b(?:nicht|keine?|n['\u2019]|ne|no|non|não|niet|не|nie|inte|ikke|không|bukan|nu|δεν|falsche?|incorrect[ao]?|errónea|fausse|errad[ao]"
    r"|sbagliata|błędna|неверный|неправильный|felaktig\w*|sai|salah|greșit)\b|不|并非|错误",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"(?:\b(?:wenn|falls|ob|als|si|se|caso|если|jeśli|om|hvis|pokud|якщо|eğer|nếu|jika|dacă|yanl\u0131ş|felaktig\w*|chybná|falsche?|vorherige|incorrect[ao]?|fausse|errata|errad[ao])\b|如果|若|もし|错误|만약)[^.!?\n]{0,20}$",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"\b(?:correct|right|best|final|selected|chosen|true)\s(?:option|choice|statement|alternative|letter)\s{1,2}(?:is|would be)"
    r"(?P<not>\snot\b)?[ \t]*:?[ \t]*"
    r"|\b(?:correct|right|best|final|selected|chosen)\s(?:option|choice)[*_]{0,3}[ \t]*:[*_]{0,3}[ \t]*"
    r"|(?:^|\n)[ \t>*_#]{0,6}(?:(?:my|the)\s)?(?:final(?:\s(?:verdict|selection|pick|result))?"
    r"|pick|verdict|selection|choice|answer|conclusion|result|solution|response)[*_]{0,3}[ \t]?[:=\u2013\u2014-]"
    r"[*_]{0,3}[ \t]*(?=[*_(\[]{0,4}[A-Z][)\].*_ \t]{0,4}(?:\n|$))"
    r"|(?:故|因此|所以|答案|我|(?<![若果])本[题題]|^|(?<=[\n\u3002\uff0c,]))"
    r"[,\uff0c]?\s?(?:应|应该|应当)?(?:选择?|選擇?)(?![项項不])[ \t]*"
    r"[:\uff1a]?[ \t]*",
    re.IGNORECASE,
)

_DOUBT = re.compile(
    r"""\b(?:if|whether|unless|suppos(?:e|ing)|assum(?:e|ing)|imagine|pretend|let['\u2019]?s\ssay)\s{1,2}(?:that\s{1,2})?$
    |^\W*(?:for\s(?:example|instance)|e\.g\.),?\s(?:if|when|with|suppose|take|let|say)\b[^.;:!?\n]*$
    |(?:\b|(?<=\w)(?=n['\u2019]t\s))(?:(?:wrong(?:ly)?|incorrect(?:ly)?|mistaken(?:ly)?|(?<!no\s)doubt|deny|unlikely)\b
    |(?:\b(?:is|was|been)|it['\u2019]s)\s(?:\w+ly\s|often\s|sometimes\s)?(?:thought|believed|assumed|claimed|supposed|guessed|said|rumou?red)
    |\bi\s?(?:['\u2019]d|would)?\s?(?:guess|suppose)|\b(?:my|a|the)\s(?:\w{1,8}\s)?guess(?!\W+and\W)|\bguessing|\b(?:maybe|perhaps|possibly|unsure)
    |(?:\bnot\s(?:\w{1,10}\s)?(?:sure|certain)|\bunsure)(?:,?\s(?:but|though)\b)?
    |(?:might|may|could|would)\s(?:\w{1,12}\s)?(?:think|say|guess|assume|believe|conclude|expect|argue)
    |(?:mistake|error|trap|temptation|misconception|tempting)\s(?:\w{1,12}\s){0,3}(?:to|that)\b
    |(?:some|many|most|few|people|students?|others?|they|he|she|who|you|(?:the\s)?(?:user|book|textbook|author|key))\s(?:\w{1,12}\s){0,2}(?:thinks?|thought|says?|said|guess|believes?|claim(?:s|ed)?|suggests?|argues?|insists?)
    |\b(?:impossible|not\spossible)\sfor\b|(?:not|n['\u2019]t|never|cannot)\s(?:\w{1,12}\s)?(?:think|believe|say|claim|agree|accept|mean|true|correct|the\scase|clear|known|obvious|evident)\b)[^,.;:!?\n]{0,40}$
    |^\W*(?:(?:and|but|so|now|while)\W+)?(?:na[iï]vely|superficially|(?:at|on)\s(?:a\s)?first(?:\s(?:glance|sight|blush|look|reading|thought))?|on\sthe\ssurface)\b
        (?:(?!,?\sbut\b)[^.;:!?\n]){0,40}$
    |\baccording\sto\s(?:you|the\s(?:user|book|textbook|author|key|student)|h(?:im|er)|them|some|others)\b[^.;:!?\n]{0,20}$""",
    re.IGNORECASE | re.VERBOSE,
)
_OTHER_ANSWER = re.compile(
    r"\b(?:wrong|incorrect|previous|initial|original|old|alternative|another|other|possible|naive|tempting|his|her|their|first|second|third|sample|example|somebody['\u2019]s|someone['\u2019]s"
    r"|(?:student|pupil|user|learner|candidate|classmate|friend|child)['\u2019]?s['\u2019]?)\s{1,2}$",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"(?:^|[\n.:;,!?)*_#>\"—-]|\b(?:so|and|thus|therefore|hence|then))\s{0,3}$", re.IGNORECASE)


def markers(text: str, *, options: bool = False) -> list[Marker]:
    """Return the markers of a text in order of where they end. `options`: of a multiple-choice response."""
    boxed = boxes(text)
    worded = [*_worded(text), *_elsewhere(text)]
    # In "**Final Answer** \[\boxed{x = 3}\]" it is the box that announces.
    worded = [m for m in worded if not any(box.start < m.end <= (box.close or 0) for box in boxed)]
    found = [*worded, *hashes(text), *boxed, *tags(text)]
    if options:
        found += _elsewhere(text, (*_OPTION_NOUNS, *_UNSPACED_OPTIONS), _OPTION_ELSEWHERE)
        found += [
            Marker(m.start(), m.end(), None, "is", _label(m[0]), negated=bool(m["not"]), doubt=_doubtful(text, m.start()))
            for m in deque(_OPTION.finditer(text), MAX_MARKERS)
        ]
    found += [
        Marker(m.start("word"), m.end(), None, "heading", _label(m[0]))
        for m in deque(_LINE_START.finditer(text), MAX_MARKERS)
        if not options or m["word"] != "A"  # "A: Paris" is an option there, and an answer elsewhere
    ]
    found.sort(key=lambda marker: marker.end)
    found = [replace(marker, supposed=True) if _supposed(text, marker) else marker for marker in found]
    found = [replace(marker, doubt=True) if _of_what_is_not(text, marker) else marker for marker in found]
    if len(found) < 2:  # noqa: PLR2004 - nothing is left out of one
        return found
    stating = [each for each in found if _states(text, each)]
    stated = next((each.end for each in stating), len(text))
    alone = next((each.end for each in stating if not (_TELLS.match(text, each.end) or _of_a_part(text, each))), len(text))
    found = [each for each in found if each.end <= alone or not each.supposed]
    plain = next((each.end for each in stating if each.end >= alone and not _supposed(text, each, _SETTING)), len(text))
    found = [each for each in found if each.end <= plain or not _supposed(text, each, _SETTING)]
    return [each for each in found if each.end <= stated or not _in_another_case(text, each)]


def _states(text: str, marker: Marker) -> bool:
    """Whether a marker has an answer behind it that holds, rather than words on it."""
    sure = not (marker.doubt or marker.negated or marker.supposed or _in_another_case(text, marker))
    return sure and (marker.form in {"box", "hashes", "tag"} or _STATED.match(text, marker.end) is not None)


def _in_another_case(text: str, marker: Marker) -> bool:
    """Whether a marker is of what would be: "If x were 2, the answer would be"."""
    return "would" in text[marker.start : marker.end].lower() and _OTHER_CASE.search(_sentence_before(text, marker)) is not None


def _of_what_is_not(text: str, marker: Marker) -> bool:
    """Whether a marker is of a case that may not be the question's: "If there were 3 boxes, the answer would be 12"."""
    before, said = _sentence_before(text, marker), text[marker.start : marker.end].lower()
    if marker.form not in {"is", "heading"}:
        return (found := _IN_A_RANGE.match(before)) is not None and _ANNOUNCED.fullmatch(before, found.end()) is not None
    if "would have been" in said or ("would" in said and _UNREAL.search(before)) or _OF_ANOTHER_QUESTION.search(before):
        return True
    return marker.supposed and _IN_A_RANGE.match(before) is not None


def _of_a_part(text: str, marker: Marker) -> bool:
    return _OF_A_PART.search(text, marker.start, marker.end) is not None


def _supposed(text: str, marker: Marker, begins: re.Pattern[str] = _SUPPOSES) -> bool:
    said = text[marker.start : marker.end].lower()
    # Whatever is supposed before "final" is what the question says; "so" goes on from it.
    goes_on = "final" in said or said.startswith(("so ", "thus ", "therefore "))
    return marker.form in {"is", "heading"} and not goes_on and begins.match(_sentence_before(text, marker)) is not None


def other_case(marks: list[Marker], marker: Marker) -> Marker | None:
    """Return the marker of another case before one: "If n is even, the answer is 7. If n is odd, the answer is 8."."""
    return next((each for each in reversed(marks) if marker.supposed and each.supposed and each.end < marker.end), None)


def _sentence_before(text: str, marker: Marker) -> str:
    """Return what stands before a marker in its sentence."""
    before = text[max(0, marker.start - 160) : marker.start]
    return before[max((end.end() for end in _ENDS.finditer(before)), default=0) :]


@dataclass(frozen=True, slots=True)
class _Word:
    """The word "answer" in a text, and what stands before it there."""

    text: str
    word: re.Match[str]
    before: str
    """A little of the text, up to the word."""
    after: str
    """Likewise, behind it."""
    start: int
    """Where what belongs to it begins: "the final"."""
    noun: bool
    """Whether that makes it one: "the answer", but not "they answer"."""
    doubt: bool
    """See `Marker.doubt`."""

    def marker(self, behind: re.Match[str], form: Form, *, doubt: bool, negated: bool = False) -> Marker:
        """Return the marker that ends where a match behind the word does."""
        end = self.word.end() + behind.end()
        return Marker(self.start, end, None, form, _label(self.text[self.start : end]), doubt=doubt, negated=negated)


def _worded(text: str) -> list[Marker]:
    found: list[Marker] = []
    if "nswer" not in text.lower():
        return found
    for word in deque(_WORD.finditer(text), MAX_MARKERS):
        at = _word(text, word)
        if marker := _denied(at) or _with_colon(at) or _with_verb(at) or _as_heading(at):
            found.append(marker)
    return found


def _word(text: str, word: re.Match[str]) -> _Word:
    before = text[max(0, word.start() - 50) : word.start()]
    extra = _BEFORE.search(before)
    start = word.start() - (len(extra[0]) if extra else 0)
    another = _OTHER_ANSWER.search(before) is not None
    return _Word(
        text=text,
        word=word,
        before=before,
        after=text[word.end() : word.end() + 360],
        start=start,
        noun=another or _NOUN.search(before) is not None,
        doubt=another or _doubtful(text, start),
    )


def _denied(at: _Word) -> Marker | None:
    """Read "The answer isn't"."""
    isnt = _ISNT.match(at.after)
    return at.marker(isnt, "is", doubt=at.doubt, negated=True) if isnt and (at.noun or not at.before.strip()) else None


def _with_colon(at: _Word) -> Marker | None:
    """Read "Answer:" and "the answer - "; a dash needs a noun before it."""
    colon = _COLON.match(at.after)
    if colon is None or (colon[0].strip() in {"-", "\u2013", "—"} and not at.noun):
        return None
    final = re.search(r"final\s{1,2}$", at.before, re.IGNORECASE) is not None
    return at.marker(colon, "is" if final else "heading", doubt=at.doubt)


def _with_verb(at: _Word) -> Marker | None:
    """Read "The answer is", and "Answer is" where a sentence begins so."""
    verb = _said(at.after)
    if verb is None or _verbal(at.before):
        return None
    bare = _BEGINS.search(at.before) is not None and at.word[0][-1] not in "sS" and not verb["between"].strip()
    if not (at.noun or bare):
        return None
    end = at.word.end() + verb.end()
    would = "would" in verb[0].lower()
    supposed = would and bool(_ONLY_IF.match(at.text, end) or _HAD_IT_BEEN.search(at.before))
    doubt = at.doubt or supposed or _MAY.search(verb["between"]) is not None
    return at.marker(verb, "is", doubt=doubt, negated=bool(verb["not"]))


def _as_heading(at: _Word) -> Marker | None:
    """Read "Final answer" alone on its line."""
    alone = _ALONE.match(at.after)
    return at.marker(alone, "heading", doubt=False) if alone and _HEADING_START.search(at.before) else None


def _said(after: str) -> re.Match[str] | None:
    """Return "is" behind an announcement, and what stands between; an equals sign is said of what stands on the same line."""
    verb = _IS.match(after)
    return None if verb and verb["sign"] and "\n" in after[: verb.start("sign")] else verb


@lru_cache
def _in_ascii(nouns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(str.isascii, nouns))


def _elsewhere(text: str, nouns: tuple[str, ...] = (*_NOUNS, *_UNSPACED), pattern: re.Pattern[str] = _ELSEWHERE) -> list[Marker]:
    """Return what announces an answer in other languages than English."""
    found: list[Marker] = []
    lowered = text.lower()
    # A tenth of the time that the expression takes to find nothing.
    for noun in _in_ascii(nouns) if lowered.isascii() else nouns:
        if noun in lowered:
            break
    else:
        return found
    for match in deque(pattern.finditer(text), MAX_MARKERS):
        denied = match["not"] is not None or _DENIED.search(f"{match['between']} {match['verb'] or ''}") is not None
        before = text[max(0, match.start() - 60) : match.start()]
        doubt = _SUPPOSED.search(before) is not None
        form: Form = "is" if match["verb"] else "heading"
        found.append(Marker(match.start(), match.end(), None, form, _label(match[0]), doubt=doubt, negated=denied))
    return found


def _verbal(before: str) -> bool:
    # A question: "is the answer = 5?".
    return re.search(r"\b(?:is|was|isn't)\s{1,2}(?:the\s{1,2})?(?:final\s|correct\s)?$", before, re.IGNORECASE) is not None


def _doubtful(text: str, start: int) -> bool:
    before = text[max(0, start - 120) : start]
    statement = before[max(map(before.rfind, ".;!?\n")) + 1 :]
    return bool(statement.strip() and _DOUBT.search(statement))


def _label(text: str) -> str:
    return " ".join(text.strip(" \t\n*_#:>").split())[:60]
