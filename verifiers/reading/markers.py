r"""Where a response says its final answer: "The answer is", "Answer:", "A:", "####", `\boxed{}`, `<answer>`.

Every pattern is anchored at a fixed word or bounded in length, so that a hostile megabyte costs as much as a plain one.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

MAX_MARKERS = 32
"""Of each form, from the end: no honest response has more."""
MAX_BOX = 2000
"""Characters that a box may hold."""

Form = Literal["is", "heading", "hashes", "box", "tag"]


@dataclass(frozen=True, slots=True)
class Marker:
    """A place where an answer is announced."""

    start: int
    """Where the announcement begins."""
    end: int
    """Where what it announces begins."""
    close: int | None
    """Where what it announces ends; None: the text decides."""
    form: Form
    """What kind of announcement."""
    label: str
    """As written, for the verdict's reason."""
    doubt: bool = False
    """It isn't the writer's own claim: "if the answer is", "you might think that the answer is"."""
    negated: bool = False
    """It says what the answer isn't."""


_WORD = re.compile(r"(?<![\w-])answers?(?![\w-])", re.IGNORECASE)
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
_VERB = r"(?:is|are|was|be|equals|(?:must|should|would|will|has to) be|(?:comes|works) out (?:to|at)|comes to|becomes|remains)"
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
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]{0,8}")
_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]{0,4}\{")
_NOT_THIS_BOX = re.compile(
    r"(?:\b(?:not|instead\sof|rather\sthan)\s|\b(?:common|typical|frequent)\s(?:mistake|error|pitfall)[^.!?\n]{0,80})[$\\(\[\s]{0,6}$",
    re.IGNORECASE,
)
MAX_BETWEEN = 60
"""Characters between two boxes that belong together."""
_SPACED = re.compile(r"\\(?:text|mathrm|mbox)\s?\{([^{}]*)\}|\\(?:q?quad\b|[,;:!])()")
_BETWEEN_BOXES = re.compile(
    r"[\s$\\()\[\],.;&*]{0,20}(?:(?:and|or|und|oder|et|ou|y|o|e|и|или)\b[^.\n]{0,30}|[a-zA-Z](?:_?\{?\w\}?)?\s?=\s?|[和或]|または|또는)?\s*",
    re.IGNORECASE,
)
_TAG = re.compile(r"<answer>", re.IGNORECASE)
_TAG_END = re.compile(r"</answer>", re.IGNORECASE)
_OPTION = re.compile(
    r"\b(?:correct|right|best|final|selected|chosen)\s(?:option|choice)\s{1,2}(?:is|would be)(?P<not>\snot\b)?[ \t]*:?[ \t]*"
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
    r"""\b(?:if|whether|unless|suppose|assuming|assume)\s{1,2}(?:that\s{1,2})?$
    |\b(?:(?:wrong(?:ly)?|incorrect(?:ly)?|mistaken(?:ly)?|(?<!no\s)doubt|deny|unlikely)\b
    |\bi\s?(?:['\u2019]d|would)?\s?(?:guess|suppose)|\b(?:my|a|the)\s(?:\w{1,8}\s)?guess(?!\W+and\W)|\bguessing|\b(?:maybe|perhaps|possibly|unsure)
    |(?:\bnot\s(?:\w{1,10}\s)?(?:sure|certain)|\bunsure)(?:,?\s(?:but|though)\b)?
    |(?:might|may|could|would)\s(?:\w{1,12}\s)?(?:think|say|guess|assume|believe|conclude|expect|argue)
    |(?:mistake|error|trap|temptation|misconception|tempting)\s(?:\w{1,12}\s){0,3}(?:to|that)\b
    |(?:some|many|most|few|people|students?|others?|they|he|she|who|you|(?:the\s)?(?:user|book|textbook|author|key))\s(?:\w{1,12}\s){0,2}(?:thinks?|thought|says?|said|guess|believes?)
    |(?:not|n['\u2019]t|never|cannot)\s(?:\w{1,12}\s)?(?:think|believe|say|claim|agree|accept|mean|true|correct|the\scase|clear|known|obvious|evident)\b)[^,.;:!?\n]{0,40}$""",
    re.IGNORECASE | re.VERBOSE,
)
_OTHER_ANSWER = re.compile(
    r"\b(?:wrong|incorrect|previous|initial|original|old|alternative|another|other|possible|naive|tempting|his|her|their|first)\s{1,2}$",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"(?:^|[\n.:;,!?)*_#>\"—-]|\b(?:so|and|thus|therefore|hence|then))\s{0,3}$", re.IGNORECASE)


_THOUGHTS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))
_GLM = ("<|begin_of_box|>", "<|end_of_box|>")
r"""How GLM writes \boxed{}."""
_THOUGHT = re.compile(r"\s*<(think|thinking)>")


def after_thinking(text: str, *, boxed: bool = True) -> str | None:
    """Return what follows the chain of thought, where one stands in `<think>` or `<thinking>` tags; None where it never ends.

    `boxed`: with GLM's boxes as LaTeX's; else they are left out.
    """
    text = _uncommented(text)
    if _GLM[0] in text and not boxed:
        text = text.replace(_GLM[0], " ").replace(_GLM[1], " ")
    elif _GLM[0] in text:
        text = text.replace(_GLM[0], r"\boxed{").replace(_GLM[1], "}")
    for _, closing in _THOUGHTS:
        closed = text.rfind(closing)
        if closed >= 0:
            text = text[closed + len(closing) :]
    return None if any(opening in text for opening, _ in _THOUGHTS) else text


def spoken(text: str) -> str | None:
    """Return a response without the chain of thought that it begins with; None where that never ends.

    For responses of which all else counts, be it code or data: what looks like a tag within them is their own.
    """
    at = 0
    while opening := _THOUGHT.match(text, at):
        closing = f"</{opening[1]}>"
        closed = text.find(closing, opening.end())
        if closed < 0:
            return None
        at = closed + len(closing)
    return text[at:]


_BEGINS_BLOCK = re.compile(r"[\s>*+\-\d.)]*")
"""Before what begins a line, or an item of a list or a quotation."""


def _uncommented(text: str) -> str:
    """Return a text without its HTML comments, which no reader sees.

    One that never ends hides the rest where it begins a line or an item; within a line it is a text like any other, to Markdown.
    """
    kept, at = [], 0
    while (begin := text.find("<!--", at)) >= 0:
        end = text.find("-->", begin)
        if end < 0 and not _BEGINS_BLOCK.fullmatch(text, text.rfind("\n", 0, begin) + 1, begin):
            break
        kept.append(text[at:begin])
        at = len(text) if end < 0 else end + len("-->")
    return "".join([*kept, text[at:]]) if kept or at else text


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
    return sorted(found, key=lambda marker: marker.end)


def _worded(text: str) -> list[Marker]:
    found: list[Marker] = []
    for match in deque(_WORD.finditer(text), MAX_MARKERS):
        before = text[max(0, match.start() - 50) : match.start()]
        after = text[match.end() : match.end() + 360]
        extra = _BEFORE.search(before)
        start = match.start() - (len(extra[0]) if extra else 0)
        another = _OTHER_ANSWER.search(before) is not None
        noun = another or _NOUN.search(before) is not None
        doubt = another or _doubtful(text, start)
        bare = _BEGINS.search(before) is not None and match[0][-1] not in "sS"
        if (isnt := _ISNT.match(after)) and (noun or not before.strip()):
            end = match.end() + isnt.end()
            found.append(Marker(start, end, None, "is", _label(text[start:end]), doubt=doubt, negated=True))
        elif (colon := _COLON.match(after)) and not (colon[0].strip() in {"-", "\u2013", "—"} and not noun):
            end = match.end() + colon.end()
            final = re.search(r"final\s{1,2}$", before, re.IGNORECASE) is not None
            found.append(Marker(start, end, None, "is" if final else "heading", _label(text[start:end]), doubt=doubt))
        elif (verb := _said(after)) and (noun or (bare and not verb["between"].strip())) and not _verbal(before):
            end = match.end() + verb.end()
            would = "would" in verb[0].lower()
            supposed = would and bool(_ONLY_IF.match(text, end) or _HAD_IT_BEEN.search(before))
            doubt = doubt or supposed or _MAY.search(verb["between"]) is not None
            found.append(Marker(start, end, None, "is", _label(text[start:end]), doubt=doubt, negated=bool(verb["not"])))
        elif (alone := _ALONE.match(after)) and _HEADING_START.search(before):
            end = match.end() + alone.end()
            found.append(Marker(start, end, None, "heading", _label(text[start:end])))
    return found


def _said(after: str) -> re.Match[str] | None:
    """Return "is" behind an announcement, and what stands between; an equals sign is said of what stands on the same line."""
    verb = _IS.match(after)
    return None if verb and verb["sign"] and "\n" in after[: verb.start("sign")] else verb


def _elsewhere(text: str, nouns: tuple[str, ...] = (*_NOUNS, *_UNSPACED), pattern: re.Pattern[str] = _ELSEWHERE) -> list[Marker]:
    """Return what announces an answer in other languages than English."""
    found: list[Marker] = []
    lowered = text.lower()
    # A tenth of the time that the expression takes to find nothing.
    if not any(noun in lowered for noun in (filter(str.isascii, nouns) if lowered.isascii() else nouns)):
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


def hashes(text: str) -> list[Marker]:
    """Return the last of its "####", by which GSM8K announces an answer."""
    if "####" not in text:
        return []
    return [Marker(m.start(), m.end(), None, "hashes", "####") for m in deque(_HASHES.finditer(text), MAX_MARKERS)]


def boxes(text: str) -> list[Marker]:
    """Return the last of its boxes that close and aren't empty."""
    found = []
    for match in deque(_BOX.finditer(text), MAX_MARKERS):
        close = _closing(text, match.end())
        if close is not None and text[match.end() : close].strip():
            before = text[max(0, match.start() - 120) : match.start()]
            doubt = _NOT_THIS_BOX.search(before) is not None
            found.append(Marker(match.start(), match.end(), close, "box", "\\boxed{}", doubt=doubt))
    return found


def several(between: str) -> bool:
    r"""Whether what stands between two boxes makes them two answers: "\boxed{3} \text{ or } x = \boxed{4}"."""
    return len(between) <= MAX_BETWEEN and _BETWEEN_BOXES.fullmatch(_SPACED.sub(r" \1 ", between)) is not None


def _closing(text: str, begin: int) -> int | None:
    depth = 1
    for match in re.finditer(r"\\.|[{}]", text[begin : begin + MAX_BOX], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return begin + match.start()
    return None


def tags(text: str) -> list[Marker]:
    """Return the last of its <answer> tags that close."""
    found = []
    for match in deque(_TAG.finditer(text), MAX_MARKERS):
        close = _TAG_END.search(text, match.end(), match.end() + MAX_BOX)
        if close:
            found.append(Marker(match.start(), match.end(), close.start(), "tag", "<answer>"))
    return found


def _label(text: str) -> str:
    return " ".join(text.strip(" \t\n*_#:>").split())[:60]
