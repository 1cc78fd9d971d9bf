"""Where a sentence ends, and where a writer takes it back."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from verifiers.reading.dates import ABROAD

_ABBREVIATIONS = frozenset(
    ["approx", "ca", "mr", "mrs", "ms", "dr", "st", "vs", "e.g", "i.e", "no", "rs", "prof", "u.s", "sr", "jr", "mt"]
)
_MONTHS = frozenset(["jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"])
_END = re.compile(r"[.!?]+(?=[\"')\]*_”\u2019]{0,3}(?:\s|$))|[\u3002\u0964\uff01\uff1f]+|\n")
_LEAD = r"(?:(?:oh|but|hmm|uh|no|wait|actually|however|unfortunately|sorry|so|and|i\s(?:think|believe))(?:,|\.{1,3})?\s){0,2}"
_INSTEAD = r"(?=[^\w\s]{0,4}(?-i:[A-Z0-9]|\\))"
_TAKEN_BACK = re.compile(
    rf"""(?:^|[.!?,;\n—(…\u3002]|\.\.\.)[\s*_"']{{0,4}}+{_LEAD}(?P<word>
        wait\b|hold\son\b|oops\b|correction\b|scratch\sthat|sorry\b|no,|actually\b|on\ssecond\sthought|let\sme\s(?:re|correct|fix|try\sagain)
        |(?:that|this|it)(?:\sis|['\u2019]s|\swas)\s(?:wrong|incorrect|not\s(?:right|correct)|a\smistake)
        |i\s(?:have\s)?made\san?\s(?:\w{{1,12}}\s)?(?:mistake|error)|korrektur\b|moment(?:\smal)?[,.]|espera\b|attendez\b|подождите\b|等等|等一下
        |(?<!\?\s)(?:nein|non|nee|nej),(?=\s(?:es\sist\s|c['\u2019]est\s|het\sis\s|det\s(?:är|er)\s)?{_INSTEAD})|me\sequivoqué\b
        |je\sme\s(?:suis\stromp|corrige)|mi\ssono\ssbagliat|ich\shabe\smich\s(?:geirrt|verrechnet|vertan)\b|perdón[,:](?=[^.\n]{{0,40}}\d)
        |strike\sthat\b|never\s?mind\b|just\skidding\b|i\stake\s(?:that|it)\sback|i\s(?:was|am)\s(?:wrong|mistaken)\b
        |i\s(?:have\s)?mis(?:read|counted|calculated|computed|understood)\b|i\s(?:need|have)\sto\sre(?:do|consider|compute|calculate)\b
        |(?:please\s)?(?:ignore|disregard)\s(?:that|this|the\sabove|my\s(?:previous|last|earlier))\b
        |(?:however|but),?\s(?:the\s)?(?:correct|actual|real|true|right)\b
        |(?:however|but|yet),?(?=\s{_INSTEAD}[^.!?\n]{{1,40}}\sis\s(?:the\s)?(?:correct|right|actual)\b)
        |(?:however|but),?\s(?:this|that|it|i|we)\s(?:ignor|overlook|forg[eo]t|neglect|omit|miss(?:es|ed)|double[\s-]?count)\w*
            (?=[^.\n]{{0,60}}\bso\b[^.\n]{{0,12}}\s{_INSTEAD})
        |(?:it|the\s(?:\w{{1,12}}\s)?answer)\sshould\shave\sbeen\b
        |(?:up)?on\s(?:\w{{3,12}}\s)?(?:reflection|review|inspection|examination|re-?\w{{4,12}}),?\s
            (?=(?:option\s)?\(?(?-i:[A-Z])\)?\s(?:is|should\sbe)\s(?:the\s)?(?:correct|right|best)\b
            |[^.!?\n]{{0,60}}\b(?:is|should\sbe|must\sbe)\s[^\w\s]{{0,4}}(?-i:[A-Z0-9]|\\))
        |(?:now\sit(?:\sis|['\u2019]s)|it(?:\sis|['\u2019]s)\snow)(?=\s{_INSTEAD})
        |(?P<hedge>alternatively\b|(?:hmm+[,.\u2026]*\s)?(?:maybe|perhaps)\s(?:it(?:\sis|['\u2019]s)\s)?\(?(?:(?-i:[A-Z])|[-\d.,]{{1,20}})\)?(?=\s*(?:[.?!]|$))|(?<![,;]\s)or\b|(?:it|the\sanswer)\s(?:could|might|may)\s(?:also\s)?be\b(?!\s(?:\w+(?:ed|ful|ing|ten|wn|id|ble)|worth|good|nice|easier|better)\b)
            |another\s(?:possible|valid|correct|acceptable)\s(?:answer|solution|value)\b))""",
    re.IGNORECASE | re.VERBOSE,
)
_ANSWER = r"(?:that|this|the|my)\s(?:\w{1,12}\s)?answer"
_RIGHT = r"(?:right|correct|it\b|valid|the\s(?:\w{1,12}\s)?answer)"
_WRONG = rf"(?:wrong|incorrect|false|mistaken|invalid|not\s{_RIGHT}|an?\s(?:mistake|error))"
DISAGREES = (
    r"i\s(?:\w{1,12}\s)?(?:disagree|(?:do\snot|don['\u2019]t)\sagree)"
    r"(?:\swith\s(?:that|this|it)(?:\s(?:answer|choice|claim|conclusion|statement))?)?(?=\s*(?:[.!]|$|\n))"
)
"""With what was said right before; "I disagree with this wording" is of something else."""
_REFUSED = re.compile(
    rf"""[\W_]{{0,20}}+{_LEAD}(?P<word>
        (?:that|this|which)\s(?:does\snot|doesn['\u2019]t|did\snot|didn['\u2019]t)\s(?:match|fit|work|hold|agree|satisfy|make\ssense|add\sup)
        |(?:that|this|it)\s(?:can\snot|cannot|can['\u2019]t)\sbe(?:\s{_RIGHT}|(?=[,.;!]|\s(?:because|since|as)\b))|(?:that|this)\scontradicts\b
        |(?:that|this|it)\s(?:does\snot|doesn['\u2019]t)\s(?:seem|look|sound|feel)\s(?:right|correct)\b
        |(?:that|this|it)\s(?:seems|looks|feels)\s(?:off|wrong|incorrect|too\s\w{{2,6}})\b|not\squite\b|nope\b|almost!|pardon\b
        |(?:but\s)?{DISAGREES}
        |(?:that|this|it)\s(?:was|is)\s(?:only\s|just\s)?my\s(?:first|initial|original)\s(?:guess|thought|impression|instinct)\b
        |(?:my\s)?apologies\b|i\sapologi[sz]e\b|(?:erratum|typo|revised|corrected)[*_]{{0,2}}:
        |(?:this|that)\s(?:solution|value|root|result)\sis\s(?:extraneous|rejected|invalid|wrong|incorrect|not\svalid)\b
        |(?:that|this)\sshould\s(?:have\sbeen|be)\s{_INSTEAD}
        |(?:that|this|it|which|{_ANSWER})(?:\sis|['\u2019]s|\swas)\s{_WRONG}|(?:that|this|it|{_ANSWER})\s(?:is|was)n['\u2019]t\s{_RIGHT}
        |(?:edit|update)[*_]{{0,2}}:|on\sreflection,?\s{_INSTEAD}|(?:make\sthat|i\smeant?|rather,|instead,)(?=\s)
        |(?:up)?on\s(?:re-?\w{{3,15}}|(?:closer|further|second|deeper)\s\w{{3,15}}),?\s
            (?=[^.\n]{{0,60}}(?:better|should|must|instead|not|n['\u2019]t|it\sis|it['\u2019]s)\b)
        |(?:in\sfact,?\s)?(?:it|the\sanswer)\s(?:should\s(?:have\sbeen|be)|is\sin\sfact|is\sactually)\s{_INSTEAD}
        |in\sfact,?\sit(?:\sis|['\u2019]s)\s{_INSTEAD}
        |no(?:[.!]|$)(?=\s*(?:$|\n))|my\s(?:mistake|bad|error)(?=\s*(?:[:.,!]|$))|(?:das|dies)\sist\s(?:falsch|nicht\srichtig)|c['\u2019]est\sfaux
        |不对|不對|错了|違います)""",
    re.IGNORECASE | re.VERBOSE,
)
"""What takes back only the statement right before it: further on, it is another option that doesn't fit."""
_WRONG_SO = r"(?:wrong|incorrect|not\s(?:correct|right|true|the\s(?:right|correct)\sanswer))"
_SAID = r"(?i:(?:but|and|which|this|that|it|the\sabove)\s?(?:that|this|it)?(?:\sis|['\u2019]s|\swas)\s)"
_GUESS = (
    r"(?i:maybe|perhaps|possibly|(?:but\s)?(?:i['\u2019]m\s|i\sam\s)?(?:not\s(?:\w{1,10}\s|100\s?%\s)?(?:sure|certain)|unsure|guessing)"
    r"|i\s(?:would\s)?guess|(?:(?:it|this|that)(?:\sis|['\u2019]s)\s)?(?:just\s|only\s|merely\s)?(?:a\s|my\s(?:best\s)?)?(?:wild\s)?guess)"
)
_LINE_ENDS = r"\s?[.!]{0,3}\s*(?:$|\n)"
_CROSS = "[\u274c\u2717\u2718\U0001f44e\U0001f6ab\u26d4]"
_BIT = r"(?:\S*[^\s.,;:!?]|\S*\d,)"
_STRUCK = rf"""(?:[^\S\n]*{_BIT}(?:[^\S\n]{_BIT}){{0,4}}?(?P<word>
        [^\S\n]*{_CROSS}|\s*\n\s*{_CROSS}\ufe0f?\s*(?:$|\n|{_WRONG_SO})
        |\s?[(\[]\s?(?:{_SAID}?{_WRONG_SO}|{_SAID}false|{_GUESS}|\?+)\s?[.!]?\s?[)\]]
        |\s[\u2013—-]\s?{_WRONG_SO}{_LINE_ENDS}
        |\s?[,;:\u2013—-]?\s(?:{_SAID}(?:{_WRONG_SO}|false)|{_GUESS}){_LINE_ENDS}
        |(?:\.\s+|[^\S\n]*\n\s*)[(\[]?{_SAID}?{_WRONG_SO}[)\]]?{_LINE_ENDS})
    |[^\S\n]*(?!(?:it|this|that|he|she|they|the|an?)\b){_BIT}(?:[^\S\n]{_BIT})?(?P<said>
        \s(?:(?:is|was)\s(?:{_WRONG_SO}|not\s(?:the\sanswer|it|possible|valid)|too\s\w+|impossible|invalid)
        |(?:is|was)n['\u2019]t\s(?:{_RIGHT}|possible)){_LINE_ENDS}))"""
"""What stands right behind an answer, or on a line of its own below, and strikes it out or calls it a guess."""
_STRUCK_ANSWER = re.compile(_STRUCK.replace("(?:wrong|", "(?:false|wrong|"), re.IGNORECASE | re.VERBOSE)
_STRUCK_OPTION = re.compile(_STRUCK, re.VERBOSE)
"""Behind a letter "Incorrect" and "false" may be the option's text."""
_OPTION = re.compile(r"\W{0,6}[A-Z]\b(?!['\u2019])")
_OPTION_NO = re.compile(r"[^\w\n]{0,6}[A-Z][^\w\n,;]{1,6}[Nn]o\b")
"""An option whose text is "No"."""
_GUESSED = re.compile(
    r"(?:\b(?:maybe|perhaps|possibly|guess(?:ing)?(?!\W+and\W)|vielleicht|wahrscheinlich|peut-être|quiz[áa]s?|tal\s?vez|forse"
    r"|misschien|возможно|наверное)\b"
    r"|可能|大概|也许|或许|多分|たぶん|아마|\b(?:could|might|may)\sbe\b\W{0,3}(?=$|(?:about|around|roughly)\b)"
    r"|\b(?:not\s(?:\w{1,10}\s)?(?:sure|certain)|unsure),?\s(?:but\s)?"
    r"|(?:n['\u2019]t|\bnot)\s(?:think|believe)\b|\b(?:glaube|denke)\snicht\b,?)[^.,;!?\n]{0,30}$",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(r"(?:^|[.!?\n])[\s(]*(?:if|when|unless|should|had)\b[^.!?\n]*,\s$", re.IGNORECASE)
_OF_ANOTHER = re.compile(
    r"[.!?\n][\s*_(>-]*+(?!(?:i|we|my|this|that|the\s(?:\w{1,12}\s)?answer|\d[\d.,]*|it(?!(?:\sis|['\u2019]s)\s(?:\w{1,12}\s)?(?:tempting|easy)\b))\b)"
    r"[^.!?\n]*\b(?:might|may|could|tempting|close|seems?|looks?|option|choice|some|many|most|others?|people|students|mistake)\b"
    r"[^.!?\n]*(?<!\sso)[,;\u2014]$",
    re.IGNORECASE,
)
"""What is called wrong behind it is another answer: "You might think it's 8, but that's wrong"."""
_SENTENCE_BREAK = re.compile(r"[.!?]\s+\S")
_OF_AN_OPTION = re.compile(
    r"[\s*_(>\[-]{0,8}(?:(?:option|choice|answer)\s)?[*_(\[]{0,4}(?-i:(?P<letter>[A-Z]))"
    r"(?:[).:\]*]|\s\(|\s(?:is|was|would|has|does|can|cannot|could|may|might|will)\b)(?P<said>[^\n]{0,240})$",
    re.IGNORECASE,
)
"""A line of another option, up to where it is called wrong: "A is too low, so it is incorrect"."""
_DISMISSED = re.compile(
    r"""\b(?:common|typical|frequent|usual|classic|easy)\s(?:mistake|error|trap|wrong\sanswer)\b[^.,;!?\n]{0,30}$
    |\b(?:wrong|incorrect|false)\sanswer\s(?:is|was|would\sbe|of)\b[^.,;!?\n]{0,30}$|\btempting\sto\b[^.,;!?\n]{0,30}$""",
    re.IGNORECASE | re.VERBOSE,
)
_SAID_BY_OTHERS = re.compile(
    r"""(?:\b(?:some|many|most|others?|people|students|you|one|they)\s(?:(?:people|students|might|may|could|would|will|often|sometimes
            |mistakenly|wrongly|incorrectly)\s){1,3}(?:say|think|answer|guess|claim|believe|assume|conclude)\b
        |\bif\s(?:you|someone|anyone)\s(?:got|answered|said|chose|wrote|thought|guessed)\b)[^.,;!?\n]{0,30}$""",
    re.IGNORECASE | re.VERBOSE,
)
_OF_THINGS = re.compile(r"\s(?!(?:is|was|would|but|because|since|as|if|when|here|instead|by|for|and|or)\b)[a-z]", re.IGNORECASE)
"""Behind a number of things, which may be the answer: "they could answer 7 questions"."""
_DENIED = re.compile(
    rf"\s?\((?:extraneous|rejected?|invalid)\)|\s(?:is|was|would\sbe)\s(?:{_WRONG_SO}|not\s(?:the\sanswer|valid|a\ssolution)|extraneous|rejected|invalid)\b(?!\s(?:by|for|to|in|if|when|about)\b)"
    rf"|\s(?:is|was|would)n['\u2019]t\s(?:be\s)?{_RIGHT}\b(?!\s(?:by|for|to|in|if|when|about)\b)",
    re.IGNORECASE,
)
_IS_IT = r"[\s$*=]{0,4}[-\d][\d.,/]{0,30}\s(?:mistakes?|errors?|not)\b"
"""In brackets, too, it may be the answer: "(7 errors)", "(7, not 8)"."""
_ASIDE = re.compile(
    rf"\n[^\S\n]*[*_]{{0,2}}[(\[](?!{_IS_IT})[^()\[\]\n]{{0,120}}\b(?:{_WRONG_SO}|mistakes?|errors?|not\s(?:the\sanswer|\S+))\b"
    r"[^()\[\]\n]{0,40}[)\]][*_.]{0,3}\s*$",
    re.IGNORECASE,
)
_IN_BRACKETS = re.compile(
    r"\n[^\S\n]*\n[*_]{0,2}\((?![^()\n]{0,300}\b(?:so|thus|therefore|hence|total|answer|final)\b)(?=[^()\n]{0,100}[a-z]\s[a-z])[^()\n]{12,300}\)[*_.]{0,3}\s*$",
    re.IGNORECASE,
)
"""A last paragraph that only explains: "(After 12 years he breaks even.)"."""
_OFFER = re.compile(
    r"\n[^\S\n]*\n[^\w\n]{0,6}(?:(?:would|do)\syou\s(?:like|want|need)|want\sme\sto|shall\si|should\si|let\sme\sknow|feel\sfree|i\shope|hope\sthis"
    r"|if\syou(?:['\u2019]d\slike|\swould\slike|\swant|\sneed|\shave\s(?:any|more))|is\sthere\sanything)\b[^\n]{0,300}\s*$",
    re.IGNORECASE,
)
_CHECK_CHARS = 1500
"""Characters that a check of an answer may have."""
_CHECKS = re.compile(
    r"(?:\n|[.!]\s)[\W_]{0,8}(?:(?:let['\u2019]s|let\sus|let\sme|we\scan|to|now|quick|double|sanity|final)[\s-]{1,2}){0,3}(?:check|verif(?:y|ication|ying))"
    r"(?:ing)?\b(?!\s?list)",
    re.IGNORECASE,
)
_FOUND_RIGHT = re.compile(
    r"(?:[\u2705\u2713\u2714\u2611]\ufe0f?"
    r"|(?<!not )(?<!n't )(?<!n\u2019t )\b(?:correct|matches|true|verified|confirmed|checks\sout|holds|works))"
    r"[\s.!*_)$\]]{0,6}$",
    re.IGNORECASE,
)
_CAN_NOT = r"(?:cannot|can\snot|can['\u2019]t|could\snot|couldn['\u2019]t)"
_FIND = r"(?:determine|answer|solve|tell|say|know|find|calculate|compute)"
_NO_ANSWER = re.compile(
    rf"""\b(?:it|this|that|the\s(?:answer|problem|question|equation|system|value|number|price|age|result|total))\s{_CAN_NOT}\sbe\s(?:\w+ly\s)?
        (?:determined|solved|answered|known|found|computed|calculated)\b
    |(?:\bnot|n['\u2019]t)\s(?:\w+\s){{0,2}}(?:enough|sufficient)\s(?:information|data|details|context)\b|\binsufficient\s(?:information|data)\b
    |\b(?:i|we|you|one)\s{_CAN_NOT}\s{_FIND}\b|\b(?:impossible|not\spossible|unable)\sto\s{_FIND}\b
    |\b(?:it|this|there|equation|problem|system|\d)\s?(?:['\u2019]s|is|are|has)\sno\s(?:real\s|valid\s|possible\s|integer\s|such\s)?(?:solutions?|answer)\b(?!\s(?:when|if|for|with|unless|where|in|other|of)\b)
    |\bno\s(?:\w+\s)?solutions?\sexists?\b|(?:无法|不能)(?:确定|求解|回答)|无解""",
    re.IGNORECASE | re.VERBOSE,
)
_BUT = re.compile(r"\b(?:but|however|yet|so|still|therefore|thus|hence|without|unless|until|directly|exactly)\b", re.IGNORECASE)
_NONE = re.compile(
    r"[\s*_$\\({:]{0,8}(?:text(?:bf)?\{\s?)?(?:(?:still\s)?(?:undefined|unknown|indeterminate|undetermined|indeterminable)\b|impossible\sto\b"
    r"|not\s(?:determinable|known|defined|possible)\b|no\s(?:real\s)?solutions?\b|(?:determined|found|known|computed|calculated|answered)\b(?=[^.\n]{0,80}(?:\.|\n|$)))",
    re.IGNORECASE,
)
_HAS_NONE = re.compile(
    r"[\s*_:]{0,8}(?:undefined|indeterminate|undetermined|no\s(?:real\s)?solutions?)\b(?!.{0,80}\bbut\b)", re.IGNORECASE
)
"""Likewise, whatever numbers explain it."""
_APPROVED = re.compile(r"\s{0,4}(?:[\u2705\u2713\u2714\u2611]\ufe0f?|\((?:correct|[\u2713\u2714])\))[.!]?$")
_IT_IS = re.compile(r"(?:that|this|it)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;(—…]\s?")
_FEW_WORDS = 3
"""An answer and its unit: a longer clause may speak of something else."""
_NEAR = 2000
"""Characters that a statement may have."""
_SOON = 200
"""Characters behind "Wait" in which a retraction still is of what stands before it."""
_PAUSES = frozenset(
    ("wait", "hold on", "actually", "sorry", "no,", "moment,", "moment.", "espera", "attendez", "подождите", "等等", "等一下")
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """The first sentence of a text."""

    text: str
    """Without its full stop."""
    asks: bool
    """It ends with a question mark."""
    rest: str
    """What follows it."""


@dataclass(frozen=True, slots=True)
class Retraction:
    """Words such as "Wait" or "that's wrong"."""

    word: str
    """As written."""
    end: int
    """Where what counts instead begins."""
    final: bool
    """Without anything instead, nothing counts: "that's wrong", but not "Wait, let me check"."""
    hedges: bool
    """It takes nothing back but adds another answer: "Or 6"."""


_INITIAL = re.compile(r"(?:^|(?<!\d)\s|(?P<after>[A-Z]\.|[A-Z][a-z]{1,20}\s|[A-Z]\.\s)|\()[A-Z]$")
"""Before a full stop that may be an initial's: "J. K. Rowling", "E. coli", but not "5 N. So"."""
_OF_A_NAME = re.compile(
    r"\s?[A-Z]\.\s?(?:[A-Z]\.\s?){0,3}[A-Z][a-z]"
    r"|\s(?!(?:because|since|as|and|or|but|so|if|when|it|its|is|was|the|this|that|which|not|for|with|in|on|a|an|i)\b)[a-z]{2}"
)
_LAST_NAME = re.compile(r"\s?(?!(?:It|He|She|They|We|You|This|That|Yes|No)\b)[A-Z][\w'\u2019-]{1,30}(?:\s*$|[.,;:!?)\"*\n])")
"""Behind an initial: another one and a name, a word in small letters, or behind a name and one initial the last name."""
_DAY = re.compile(r"\d{1,2}")
_MONTH_ABROAD = re.compile(rf"\s(?:de\s)?(?:{'|'.join(ABROAD)})\.?,?\s(?:de\s)?\d{{4}}\b", re.IGNORECASE)
"""Behind the number of a day with a full stop: "15. März"."""


def first_sentence(text: str, *, abbreviations: bool = True) -> Sentence:
    """Return the first sentence of a text. A line's end ends it; a full stop doesn't in "approx. 5", with `abbreviations`."""
    text = text.lstrip()
    for match in _END.finditer(text):
        word = text[: match.start()].rpartition(" ")[2].lower().lstrip("(\"'")
        if match[0] == "." and abbreviations and word in _ABBREVIATIONS:
            continue
        initial = match[0] == "." and abbreviations and _INITIAL.search(text[max(0, match.start() - 24) : match.start()])
        if initial and (_OF_A_NAME.match(text, match.end()) or (initial["after"] and _LAST_NAME.match(text, match.end()))):
            continue
        if word in _MONTHS and text[match.end() : match.end() + 2].strip().isdigit():
            continue
        if match[0] == "." and _DAY.fullmatch(word) and _MONTH_ABROAD.match(text, match.end()):
            continue
        return Sentence(text[: match.start()], "?" in match[0] or "\uff1f" in match[0], text[match.end() :])
    return Sentence(text, asks=False, rest="")


def approved(text: str) -> str:
    """Return an answer without the check mark behind it, or "(correct)"."""
    bare = text.rstrip()
    return text[: len(bare) - len(mark[0])] if (mark := _APPROVED.search(bare[-20:])) else text


def guessed(lead: str) -> bool:
    """Whether what stands before an answer in its sentence calls it a guess: "maybe", "I'd guess", "it could be"."""
    return _GUESSED.search(lead) is not None


def dismissed(lead: str, behind: str) -> bool:
    """Whether what stands around an answer in its sentence says that it is none: "some might say 7", "7 would be wrong"."""
    supposed = _OF_THINGS.match(behind) is None and _SAID_BY_OTHERS.search(lead) is not None
    return supposed or _DISMISSED.search(lead) is not None or _DENIED.match(behind) is not None


def without_aside(text: str) -> str:
    """Return a text without a last line in brackets that says what would be wrong, or a paragraph: "(7 is wrong)"."""
    begin = max(0, len(text) - _NEAR)
    aside = _ASIDE.search(text, begin) or _IN_BRACKETS.search(text, begin)
    return text[: aside.start()] if aside and (aside.re is _ASIDE or any(map(str.isdecimal, text[: aside.start()]))) else text


def without_offer(text: str) -> str:
    """Return a text without a last paragraph that offers more: "Would you like 3 more examples?"."""
    return text[: offer.start()] if (offer := _OFFER.search(text, max(0, len(text) - _SOON * 2))) else text


def without_check(text: str) -> str:
    """Return a text without a last part that only checks what stands before it, and finds it right: "Check: 42 + 8 = 50 ✓"."""
    tail = text[-_CHECK_CHARS:]
    if not _FOUND_RIGHT.search(tail[-40:]):
        return text
    check = next(_CHECKS.finditer(tail), None)
    before = text[: len(text) - len(tail) + check.start()] if check else text
    return before if any(map(str.isdecimal, before[-_NEAR:])) else text


def no_answer(text: str, last: int) -> str:
    """Return the words by which a text says that it has no answer, in the sentence of its last number, or behind it."""
    end = max(0, last)
    begin = max(0, end - _NEAR)
    begin = max(begin, *(text.rfind(mark, begin, end) + 1 for mark in (". ", "! ", "? ", "\n")))
    for match in _NO_ANSWER.finditer(text, begin, min(len(text), end + _NEAR)):
        if match.end() > end or not _BUT.search(text, match.end(), end):
            return " ".join(match[0].split())
    return ""


def says_none(text: str, begin: int, *, numbers: bool = False) -> bool:
    """Whether what is announced there is that there is no answer: "the answer is undefined", "cannot be determined".

    `numbers`: where numbers follow, too, as in "undefined, since we would divide by 0".
    """
    return (_HAS_NONE if numbers else _NONE).match(text, begin) is not None


def taken_back(text: str, begin: int) -> Retraction | None:
    """Return the first retraction at or after `begin`, where an answer stands or just ended."""
    if struck := struck_out(text, begin):
        return Retraction(" ".join((struck["word"] or struck["said"]).split()), struck.end(), final=True, hedges=False)
    match = _said(text, begin)
    refused = _refused(text[begin : begin + _NEAR])
    if refused and (match is None or begin + refused.start("word") < match.start("word") or _pauses(match)):
        return Retraction(" ".join(refused["word"].split()), begin + refused.end(), final=True, hedges=False)
    if match is None:
        return None
    if _pauses(match) and (more := _said(text, match.end(), match.end() + _SOON)):
        match = match if _pauses(more) or more["hedge"] else more  # "Wait, … That's wrong."
    if match["hedge"] and (more := _said(text, match.end(), match.end() + _SOON)) and not (more["hedge"] or _pauses(more)):
        match = more  # "It could be right, but it's wrong."
    return Retraction(" ".join(match["word"].split()), match.end(), not _pauses(match), match["hedge"] is not None)


def _pauses(match: re.Match[str]) -> bool:
    return " ".join(match["word"].lower().split()) in _PAUSES


def _said(text: str, begin: int, end: int = sys.maxsize) -> re.Match[str] | None:
    """Return the first words that take something back, but for those of "If you got 8, that's wrong"."""
    for match in _TAKEN_BACK.finditer(text, begin, min(end, len(text))):
        before = text[max(begin, match.start("word") - 80) : match.start("word")]
        clause = text[max(begin, match.start() - 120) : match.start() + 1]
        it = _IT_IS.match(match["word"])
        if not _SUPPOSED.search(before) and not (it and _is_of_another(text, begin, match.start(), clause)):
            return match
    return None


def _is_of_another(text: str, begin: int, end: int, clause: str) -> bool:
    """Whether what is called wrong at `end` is another answer than the one at `begin`: its line is of another option."""
    line = text.rfind("\n", begin, end) + 1
    chosen = _OPTION.match(text, max(0, begin - 2) if text[begin : begin + 1] == "}" else begin)
    option = _OF_AN_OPTION.match(text, line, end) if chosen and line and end - line < _SOON * 2 else None
    if chosen is None or option is None:
        return _OF_ANOTHER.search(clause) is not None
    own, said = chosen[0][-1], option["said"]
    return option["letter"] != own and _SENTENCE_BREAK.search(said) is None and re.search(rf"\b{own}\b", said) is None


def struck_out(text: str, begin: int) -> re.Match[str] | None:
    """Return what strikes out the short answer at `begin`, right behind it or on the line below: "(incorrect)", "❌", "maybe"."""
    closed = text[begin : begin + 1] == "}"  # of a box: the answer is before
    option = _OPTION.match(text, begin - 2 if closed and begin > 1 else begin)
    return (_STRUCK_OPTION if option else _STRUCK_ANSWER).match(text, begin, begin + _NEAR)


def _refused(text: str) -> re.Match[str] | None:
    """Return the words right behind the sentence that begins a text, or behind its first few words, that refuse it."""
    if _OPTION_NO.match(text):
        return None
    sentence = first_sentence(text)
    if refused := _REFUSED.match(text, len(text) - len(sentence.rest)):
        return refused
    comma = _CLAUSE.search(text, 0, len(text) - len(sentence.rest))
    if comma is None or len(text[: comma.start()].split()) > _FEW_WORDS:
        return None
    return _REFUSED.match(text, comma.end())
