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
_FORMS = tuple(
    re.compile(_BEGIN + form + _END, re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})(?:T00:00(?::00(?:\.0+)?)?Z?)?",
        rf"{_WEEKDAY}(?:the\s+)?{_DAY}\s+(?:day\s+)?(?:of\s+)?{_MONTH},?\s+(?:of\s+)?{_YEAR}",
        rf"{_WEEKDAY}{_MONTH}\s+(?:the\s+)?{_DAY},?\s+(?:of\s+)?{_YEAR}",
        rf"(?P<year>\d{{4}}),?\s+{_MONTH}\s+{_DAY}",
        rf"(?P<day>\d{{1,2}})-{_MONTH}-{_YEAR}",
        rf"{_DAY}(?:\.|er)?\s+(?:de\s+)?(?P<month>{'|'.join(ABROAD)})\.?,?\s+(?:de\s+)?{_YEAR}",
        r"(?P<first>\d{1,2})(?P<sep>[-/.])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4})",
    )
)
_NEUTRAL = re.compile(
    r"(?:(?:on|the|correct|final|right|exact|it|was|is|date|of|born|happened|in|answer|event|day|this|that|so|thus|therefore|hence|took|place|am|den|der|le|el|il|op|war|est|es|è|ist|era)\b|[\s,.:;*_'\"()\u3002是为]|です|입니다|这一天|\bat\s\d{1,2}(?::\d{2}){0,2}(?:\s?[ap]\.?m\b\.?)?(?![\w:]))*",
    re.IGNORECASE,
)


_LEADS = re.compile(r"[A-Z][\w '\u2019-]{0,120}\s(?:on|is|was)\s(?:the\s)?")
_FOLLOWS = re.compile(r",?\s[a-z][\w '\u2019-]{0,120}\.?")
"""In a sentence of its own: "The treaty was signed on …", "On …, the treaty was signed."."""
_OTHERWISE = re.compile(
    r"\b(?:nobody|nothing|hardly|scarcely|failed|denied|before|after|by|until|till|since|from|to|through|between|not|no|nor"
    r"|never|none|neither|except|or|around|about|circa|almost|supposed\w*|alleged\w*|reportedly|purportedly|presum\w*"
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
    text = plain(text)
    found = list(_found(text, day_first=day_first))
    if not found:
        return "no date found"
    if len({each.days for _, each in found}) > 1:
        return f"several dates: {found[0][1].text} and {found[-1][1].text}"
    begin, end = found[0][0].start(), found[-1][0].end()
    # "before 1 May 2024" and "not on 1 May 2024" are other answers.
    if not _neutral(text[:begin], text[end:]):
        return f"more than a date: “{' '.join(text.split())[:60]}”"
    dated = found[0][1]
    return dated if dated.days else f"there is no such day: {dated.text}"


def _neutral(before: str, behind: str) -> bool:
    """Whether what stands around a date leaves it what it is."""
    led, followed = _NEUTRAL.fullmatch(before), _NEUTRAL.fullmatch(behind)
    if led and followed:
        return True
    sentence = (led and before.strip() and _FOLLOWS.fullmatch(behind)) or (followed and _LEADS.fullmatch(before))
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
