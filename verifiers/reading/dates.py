"""Calendar dates as people write them. 03/04/2024 is two of them, unless the spec says which comes first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from verifiers.reading.markup import plain

MAX_CHARS = 2000
"""Of a text in which a date is looked for."""
_MONTHS = ("january february march april may june july august september october november december").split()  # noqa: SIM905
_DAYS = ("monday tuesday wednesday thursday friday saturday sunday").split()  # noqa: SIM905
_MONTH = r"(?P<month>" + "|".join([*_MONTHS, *(rf"{month[:3]}\.?" for month in _MONTHS), r"sept\.?"]) + ")"
ABROAD = {
    name: month
    for month, names in enumerate(
        (
            "januar janvier enero janeiro gennaio januari января stycznia",
            "februar février febrero fevereiro febbraio februari февраля lutego",
            "märz mars marzo março maart марта marca",
            "april avril abril aprile апреля kwietnia",
            "mai mayo maio maggio mei maj мая maja",
            "juni juin junio junho giugno июня czerwca",
            "juli juillet julio julho luglio июля lipca",
            "august août agosto augustus augusti августа sierpnia",
            "september septembre septiembre setembro settembre сентября września",
            "oktober octobre octubre outubro ottobre октября października",
            "november novembre noviembre novembro ноября listopada",
            "dezember décembre diciembre dezembro dicembre december декабря grudnia",
        ),
        1,
    )
    for name in names.split()
}
"""Months in German, French, Spanish, Portuguese, Italian, Dutch, Swedish, Russian and Polish."""
_WEEKDAYS = {
    name: day
    for names in (
        (
            "monday montag lundi lunes lunedì segunda-feira maandag måndag понедельник poniedziałek",
            "tuesday dienstag mardi martes martedì terça-feira dinsdag tisdag вторник wtorek",
            "wednesday mittwoch mercredi miércoles mercoledì quarta-feira woensdag onsdag среда środa",
            "thursday donnerstag jeudi jueves giovedì quinta-feira donderdag torsdag четверг czwartek",
            "friday freitag vendredi viernes venerdì sexta-feira vrijdag fredag пятница piątek",
            "saturday samstag sonnabend samedi sábado sabato zaterdag lördag суббота sobota",
            "sunday sonntag dimanche domingo domenica zondag söndag воскресенье niedziela",
        ),
        (
            "星期一 周一 月曜日 월요일 月 월",
            "星期二 周二 火曜日 화요일 火 화",
            "星期三 周三 水曜日 수요일 水 수",
            "星期四 周四 木曜日 목요일 木 목",
            "星期五 周五 金曜日 금요일 金 금",
            "星期六 周六 土曜日 토요일 土 토",
            "星期日 星期天 周日 日曜日 일요일 日 일",
        ),
    )
    for day, written in enumerate(names)
    for name in written.split()
}
"""Days of the week in the same languages; one character alone is one only in brackets."""
_NAMED_DAY = "(?P<weekday>" + "|".join(name for name in _WEEKDAYS if len(name) > 1) + ")"
_DAY_BEFORE = re.compile(rf"(?<!\w){_NAMED_DAY},?\s(?:(?:der|den|dem|the|le|el|il|de)\s)?$", re.IGNORECASE)
_DAY_BEHIND = re.compile(
    rf"\s?\((?:(?:a|un)\s)?(?:{_NAMED_DAY}|(?P<short>[月火水木金土日월화수목금토일]))\)"
    rf"|,\s(?:which\s(?:is|was|falls\son)\s)?(?:a\s)?{_NAMED_DAY.replace('weekday', 'told')}(?![\w-])"
    r"|\s?(?P<glued>(?:星期|周)[一二三四五六日天])",
    re.IGNORECASE,
)
_WRITTEN = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth"
)
_UNDER_20 = _WRITTEN.split()
_ORDINALS = [*_UNDER_20, "twentieth", *(f"twenty-{one}" for one in _UNDER_20[:9]), "thirtieth", "thirty-first"]
_DAY = rf"(?P<day>\d{{1,2}}(?:st|nd|rd|th)?|(?:{'|'.join(_ORDINALS[::-1]).replace('-', '[- ]')})\b)"
_WEEKDAY = r"(?:(?P<weekday>" + "|".join([*_DAYS, *(rf"{day[:3]}\.?" for day in _DAYS), r"tues\.?", r"thurs\.?"]) + r"),?\s+)?"
_YEAR = r"(?P<year>\d{4})(?:\s(?:AD|CE|A\.D\.|C\.E\.|года|\u0433\.))?"
_BEGIN, _END = r"(?<![\w/.-])", r"(?![\w/-]|\.\d)"
_CHINESE = re.compile(r"(?<!\d)(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일号]")
"""And as Japanese and Koreans write it."""
_TIME = (
    r"T(?:00:00(?::00(?:\.0+)?)?|(?:0[89]|1[0-5]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?)Z?"
    r"|T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
)
"""From 8 to 16 o'clock UTC it is the same day from California to China; midnight says nothing of a time."""
_FORMS = tuple(
    re.compile(_BEGIN + form + _END, re.IGNORECASE)
    for form in (
        rf"(?P<year>\d{{4}})(?P<sep>[-/.])(?P<month>\d{{1,2}})(?P=sep)(?P<day>\d{{1,2}})(?:{_TIME})?",
        rf"{_WEEKDAY}(?:the\s+)?{_DAY}\s+(?:day\s+)?(?:of\s+)?{_MONTH},?\s+(?:of\s+)?{_YEAR}",
        rf"{_WEEKDAY}{_MONTH}\s+(?:the\s+)?{_DAY},?\s+(?:of\s+)?{_YEAR}",
        rf"(?P<year>\d{{4}}),?\s+{_MONTH}\s+{_DAY}",
        rf"(?P<day>\d{{1,2}})-{_MONTH}-{_YEAR}",
        rf"{_DAY}(?:\.|er)?\s+(?:de\s+)?(?P<month>{'|'.join(ABROAD)})\.?,?\s+(?:de\s+)?{_YEAR}",
        r"(?P<first>\d{1,2})(?P<sep>[-/.])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4})",
    )
)
_NEUTRAL = re.compile(
    r"(?:(?:on|the|correct|final|right|exact|it|was|is|date|of|born|happened|in|answer|event|day|this|that|so|thus|therefore|hence|took|place|am|den|der|le|el|il|op|war|est|es|è|ist|era)\b|[\s,.:;*_'\"()\u3002是为]|です|입니다|这一天|日期|日付は|\bat\s\d{1,2}(?::\d{2}){0,2}(?:\s?[ap]\.?m\b\.?)?(?![\w:]))*",
    re.IGNORECASE,
)


_LEADS = re.compile(r"[A-Z][\w '\u2019-]{0,120}\s(?:on|is|was)\s(?:the\s)?")
_FOLLOWS = re.compile(r",?\s[a-z][\w '\u2019-]{0,120}\.?")
"""In a sentence of its own: "The treaty was signed on …", "On …, the treaty was signed."."""
_WHERE = re.compile(r",\s(?:in|at|when|while|aboard|near)\s[\w '\u2019:,-]{1,120}\.?")
"""Likewise, behind the whole sentence: ", in Geneva"."""
_REMARK = re.compile(
    rf"[.!]\s+(?:note\sthat\s|since\s|because\s)?(?:(?:the\syear\s)?\d{{4}}\s(?:is|was)\s(?:not\s)?a\sleap\syear"
    rf"|{_MONTH}\s(?:\d{{4}}\s|only\s){{0,2}}(?:has|had)\s(?:only\s)?\d\d\sdays)(?:\sin\s(?:\d{{4}}|a\sleap\syear|leap\syears))?[.!]?\s*$",
    re.IGNORECASE,
)
"""In a sentence behind: it explains the date and gives none."""
_COUNTED = re.compile(
    r"\b(?:days?|weeks?|months?|years?)\s(?:after|before|from|following|prior\sto|later\sthan)\s(?:the\s)?$", re.IGNORECASE
)
"""Before a date from which another one is counted."""
_ADDED_TO = re.compile(
    r"\b(?:add(?:ing)?|subtract(?:ing)?|count(?:ing)?)\s(?:\w{1,12}\s){1,3}(?:to|from)\s(?:the\s)?$", re.IGNORECASE
)
_PLUS = re.compile(r"\s?[+\u2212\u2013-]\s?\d{1,5}\s(?:days?|weeks?|months?|years?)(?=[\s,=:\u2192])", re.IGNORECASE)
"""Before and behind it, the same: "Adding 10 days to …", "… + 10 days ="."""
_FESTIVE = re.compile(r"\s\((?!(?:Next|Previous|Following|Prior|Same|Not|Or|The)\b)(?:[A-Z][\w.'\u2019-]{0,20}\s){1,3}Day\)")
"""Behind a date: what it is called, "(V-E Day)"."""
_COMES_TO = re.compile(
    r"(?:,?\s(?:(?:it|that|the\s(?:date|day|deadline|answer))\s)?(?:is|was|will\sbe|would\sbe|falls\son|lands\son|gives)|\s?[:=\u2192])\s(?:on\s)?(?:the\s)?$",
    re.IGNORECASE,
)
"""Before the date that a sentence with another one arrives at."""
_SAME = re.compile(r"\s?(?:\(|=|,\s?i\.e\.,?)\s?")
"""Between two forms of a date."""
_BOLD = re.compile(r"\*\*[^*\n]{1,80}\*\*")
_OTHERWISE = re.compile(
    r"\b(?:nobody|nothing|hardly|scarcely|failed|denied|before|after|by|until|till|since|from|to|through|between|not|no|nor"
    r"|never|none|neither|except|or|around|about|circa|almost|suppos\w*|alleged\w*|reportedly|purportedly|presum\w*"
    r"|apparently|seemingly|wrongly|falsely|mistake\w*|erroneous\w*|misconception|rumou?r(?:ed)?|unlikely|likely"
    r"|doubt(?:ful)?|un(?:clear|sure|certain)|whether|lied?|exclud\w*|ignor\w*|rule\sout|trap|decoy|distractor|tempting"
    r"|opposite|else|nowhere|approximately|earl(?:y|ier|iest)|late(?:r|st)?|at\s(?:least|most|best)|onwards?|roughly"
    r"|tentative\w*|pending|previous|next|following|prior|preced\w*|ago|(?:day|week|month|year|hour|minute)s?|eve|wrong"
    r"|incorrect|false|if|unless|when|maybe|perhaps|possibly|probably|might|may|could|would|should|guess|think|believe"
    r"|assum\w*|sa(?:id|y|ys)|claim\w*|some|many|instead|rather|but|however|although|though|another|other|also|whereas|while"
    r"|only|plus|minus|birthday|today|yesterday|tomorrow|\w+n['\u2019]t|my|your)\b",
    re.IGNORECASE,
)
"""With these, a sentence speaks of another date than the one in it, or of one that nobody vouches for."""
_UNSURE = re.compile(
    r"\b(?:nobody|not|no|nor|never|neither|except|or|about|around|almost|suppos\w*|alleged\w*|wrong\w*|incorrect|false\w*|mistake\w*"
    r"|if|unless|maybe|perhaps|possibly|probably|might|may(?!\s\d)|could|should|guess|think|believe|assum\w*|sa(?:id|y|ys)|claim\w*|some|many"
    r"|rather|but|however|although|though|another|other|also|\w+n['\u2019]t)\b",
    re.IGNORECASE,
)
"""The same where a date is counted from another one."""
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Dated:
    """A date that stands in a text."""

    text: str
    """As written."""
    days: frozenset[date]
    """What it may be: one day, or two where day and month may be swapped. None: there is no such day."""


def read(text: str, *, day_first: bool | None) -> Dated | str:
    """Return the one date that a text gives, or why there is none."""
    if len(text) > MAX_CHARS:
        return "it is too long for a date"
    bold = _BOLD.findall(text)
    text = plain(text)
    found = list(_found(text, day_first=day_first))
    if not found:
        return "no date found"
    if len({each.days for _, each in found}) > 1:
        arrived = _arrived(text, found) or _in_bold(text, found, bold, day_first=day_first) or _twice(text, found)
        return arrived or f"several dates: {found[0][1].text} and {found[-1][1].text}"
    begin, end = found[0][0].start(), found[-1][0].end()
    dated = found[0][1]
    festive = _FESTIVE.match(text, end)
    before, behind, weekdays = _without_weekday(text[:begin], text[festive.end() if festive else end :])
    # "before 1 May 2024" and "not on 1 May 2024" are other answers.
    if not _neutral(before, _REMARK.sub(".", behind)):
        return f"more than a date: “{' '.join(text.split())[:60]}”"
    wrong = dated.days and any(day.weekday() not in weekdays for day in dated.days) if weekdays else False
    return dated if dated.days and not wrong else f"there is no such day: {dated.text}"


def _without_weekday(before: str, behind: str) -> tuple[str, str, set[int]]:
    """Return what stands around a date without a day of the week, and which one it is: "le mardi", "(Tuesday)"."""
    said = [each for each in (_DAY_BEFORE.search(before[-40:]), _DAY_BEHIND.match(behind)) if each]
    for each in said:
        if each.re is _DAY_BEFORE:
            before = before[: len(before) - len(each[0])]
        else:
            behind = behind[each.end() :]
    names = (next(filter(None, each.groups())).lower().replace("天", "日") for each in said)
    return before, behind, {_WEEKDAYS[name] for name in names}


def _arrived(text: str, found: list[tuple[re.Match[str], Dated]]) -> Dated | None:
    """Return the second date of "10 days after February 24, 2024 is March 5, 2024."."""
    if len(found) != _PAIR:
        return None
    (first, _), (last, dated) = found
    lead = text[max(0, first.start() - 40) : first.start()]
    plus = _PLUS.match(text, first.end(), last.start())
    counts = plus is not None or _COUNTED.search(lead) is not None or _ADDED_TO.search(lead) is not None
    counted = counts and _COMES_TO.fullmatch(text[plus.end() if plus else first.end() : last.start()])
    plain_lead = not _UNSURE.search(text[: last.start()]) and _NEUTRAL.fullmatch(text[last.end() :])
    return dated if counted and plain_lead and len(dated.days) == 1 else None


def _in_bold(text: str, found: list[tuple[re.Match[str], Dated]], bold: list[str], *, day_first: bool | None) -> Dated | None:
    """Return the only date in bold, where a text ends with it and arrives at it: "From May 1, 2024, it is **May 2, 2024**."."""
    stressed = [each for span in bold for each in _found(plain(span), day_first=day_first)]
    last, dated = found[-1]
    if len(stressed) != 1 or stressed[0][1] != dated or len(dated.days) != 1 or sum(each == dated for _, each in found) != 1:
        return None
    begin = max(text.rfind(mark, 0, last.start()) for mark in ("\n", ". ", "! ", "? ")) + 1
    lead = text[begin : last.start()]
    arrives = _COMES_TO.search(lead[-40:]) and not _UNSURE.search(lead)
    return dated if arrives and _NEUTRAL.fullmatch(text[last.end() :]) else None


def _twice(text: str, found: list[tuple[re.Match[str], Dated]]) -> Dated | None:
    """Return one date that stands in two forms: "05.03.2024 (5 March 2024)"."""
    if len(found) != _PAIR:
        return None
    (first, one), (last, other) = found
    days = one.days & other.days
    said = _SAME.fullmatch(text[first.end() : last.start()]) and _neutral(text[: first.start()], text[last.end() :])
    return Dated(one.text, days) if said and days else None


def _neutral(before: str, behind: str) -> bool:
    """Whether what stands around a date leaves it what it is."""
    led, followed = _NEUTRAL.fullmatch(before), _NEUTRAL.fullmatch(behind)
    if led and followed:
        return True
    sentence = (led and before.strip() and _FOLLOWS.fullmatch(behind)) or (followed and _LEADS.fullmatch(before))
    if where := _WHERE.fullmatch(behind):
        sentence = where if (led and before.strip()) or _LEADS.fullmatch(before) else None
        behind = behind.replace(", when ", ", ", 1)
    return bool(sentence) and not _OTHERWISE.search(before) and not _OTHERWISE.search(behind)


def _found(text: str, *, day_first: bool | None) -> Iterator[tuple[re.Match[str], Dated]]:
    matches = sorted((match for form in (*_FORMS, _CHINESE) for match in form.finditer(text)), key=lambda match: match.start())
    for match in matches:
        yield match, Dated(match[0], frozenset(_days(match, day_first=day_first)))


def _days(match: re.Match[str], *, day_first: bool | None) -> Iterator[date]:
    groups = match.groupdict()
    year = int(groups["year"])
    if "first" in groups:
        first, second = int(groups["first"]), int(groups["second"])
        orders = {(first, second)} if day_first else {(second, first)}
        pairs = {(first, second), (second, first)} if day_first is None else orders
    else:
        written = groups["month"].lower()
        month = (
            int(written) if written.isdecimal() else ABROAD.get(written) or 1 + [name[:3] for name in _MONTHS].index(written[:3])
        )
        day = groups["day"].lower().replace(" ", "-")
        pairs = {(_ORDINALS.index(day) + 1 if day in _ORDINALS else int(day.rstrip("stndrh")), month)}
    weekday = groups.get("weekday")
    for day, month in pairs:
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if not weekday or _DAYS[found.weekday()][:3] == weekday[:3].lower():
            yield found
