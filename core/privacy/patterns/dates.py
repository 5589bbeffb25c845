"""Dates: by numbers, by the names of months in seven languages, and years where the words before say so."""

import re
from collections.abc import Iterator

from core.privacy.patterns.gazetteer import MONTHS
from core.privacy.types import Finding

ENTITY = "DATE_TIME"
_SCORE = 0.6

_MONTH = rf"(?:{MONTHS})\b\.?"
_YEAR = r"(?:1[89]\d\d|20\d\d)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|\.|º|er)?"
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?: ?[ap]\.?m\b\.?)?(?:Z\b|[+-]\d\d:?\d\d\b)?"

_NUMBERS = re.compile(
    r"(?<![\w./-])(?:"
    rf"{_YEAR}(?P<sep>[-/.])(?:0?[1-9]|1[0-2])(?P=sep)(?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])(?P<sep2>[-/.])(?:0?[1-9]|[12]\d|3[01])(?P=sep2)(?:\d{4}|\d{2})"
    rf")(?:(?:T|,? ){_CLOCK})?(?![\w/-]|\.\d)"
)
_NAMES = re.compile(
    rf"(?<![\w/])(?:{_DAY}(?:[ -]|\s?of |\s?de )?(?:de |of )?{_MONTH}(?:,?(?: de | of |[ -]){_YEAR}\b|-\d\d\b)?"
    rf"|{_MONTH}[ -]{_DAY}(?!\w|:\d)(?:,? {_YEAR}\b)?"
    rf"|{_MONTH},?[ -](?:of )?{_YEAR}\b)(?:,? (?:at )?{_CLOCK})?",
    re.IGNORECASE,
)
_YEARS = re.compile(
    r"\b(?:in|since|until|till|from|of|by|during|for|before|after|year|circa|early|late|mid|the|a|an|born|founded|est|"
    rf"seit|depuis|desde|en|im|jahr|année|año)[ .]{{1,2}}(?P<alone>{_YEAR})\b(?![.,]?\d|['’-]\d|%| ?(?:km|kg|eur|usd)\b)"
    rf"|\((?P<bracket>{_YEAR})\)|\b(?P<first>{_YEAR})\s?[–-]\s?(?P<last>{_YEAR})\b",
    re.IGNORECASE,
)

_WEEKDAYS = re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b")


def find_dates(text: str) -> Iterator[Finding]:
    """Dates with a day or a month and a year, with the time that follows them, years and days of the week."""
    for pattern in (_NUMBERS, _NAMES, _WEEKDAYS):
        for match in pattern.finditer(text):
            yield Finding(*match.span(), ENTITY, _SCORE)
    for match in _YEARS.finditer(text):
        for group in ("alone", "bracket", "first", "last"):
            if match[group]:
                yield Finding(*match.span(group), ENTITY, _SCORE)
