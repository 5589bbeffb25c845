"""Postal addresses: from what is certain, a street with its number, a box or a unit, on to the city and the country."""

from collections.abc import Iterator

import regex

from core.privacy.patterns import street
from core.privacy.patterns.gazetteer import COUNTRIES, STATES
from core.privacy.types import Finding

ENTITY = "LOCATION"
_SCORE = 0.8
_MOST_PARTS = 7
_EDGE = " \t\r\n,;|"

_STARTS = [
    regex.compile(pattern)
    for pattern in (
        street.MILITARY,
        street.BOX,
        street.ENGLISH,
        street.SMALL_LETTERS,
        street.PREFIXED,
        street.GERMANIC,
        street.BETWEEN_NUMBERS,
        street.UNIT,
        street.CORNER,
        street.SHAPED_POSTCODE,
        street.CITY_STATE,
    )
]
_LABELLED = [
    (regex.compile(street.LABELLED_POSTCODE), "code"),
    (regex.compile(street.LABELLED_STREET), "street"),
]
# A number and a few words before a unit: the street, whatever it is called.
_BEFORE_UNIT = regex.compile(
    rf"(?<![\w.,\-/])(?:\d{{1,6}},? (?:(?:{street.WORD}|\d{{1,5}}[A-Za-z]?|de|la|del|van|von|of|the|y|di|da),?[ ]){{1,7}}\s{{0,4}}(?={street.UNIT})"
    rf"|\d{{3,6}} (?:[\p{{L}}\p{{M}}\d.'’\-]{{1,25}}+ ){{1,6}}(?={street.UNIT}))"
)
_BEFORE_UNIT_ON_ITS_LINE = regex.compile(
    rf"(?<![\w.,\-/])\d{{1,6}},? (?:[\p{{L}}\p{{M}}\d.'’\-]{{1,25}}+[ ]?){{1,7}},?\s{{1,6}}(?={street.UNIT})"
)

_COUNTRY = "|".join(sorted((regex.escape(name) for name in COUNTRIES), key=lambda name: (-len(name), name)))
_SEPARATOR = r"[ \t]{0,4}[,;|]?\s{0,8}(?:, ?)?"
# What shows that an address goes on to here, with what may stand between: a city's name on a line of its own.
_LINE = r"(?!(?i:phone|tel|fax|e-?mail|www|http|thanks|thank|regards|best|dear|date)\b)[\p{L}\p{M}'’.\- ]{2,40}(?:\([\p{L} ]{2,20}\))?"
_PROOF = (
    rf"(?:(?i:{_COUNTRY})\b(?: ?\([\p{{L}} ]{{2,20}}\))?(?:,? {street.POSTCODE})?"
    rf"|(?:{STATES})\b(?:,?\s{{1,3}}{street.POSTCODE})"
    rf"|{street.SHAPED_POSTCODE}"
    rf"|{street.POSTCODE},?[ ]{street.NAME}(?: ?\([A-Z]{{2}}\))?"
    rf"|{street.NAME},? {street.POSTCODE}"
    rf"|(?<=\n ?)\d{{4,6}}\b)"
)
_PROVEN = regex.compile(
    rf"{_SEPARATOR}(?:{street.UNIT}{_SEPARATOR}){{0,2}}"
    rf"(?:{_LINE}(?:\s{{0,3}}[,\n]\s{{0,4}}(?:, ?)?)){{0,3}}{_PROOF}"
)
_PROVEN_IN_LINE = regex.compile(
    rf",? (?:{street.UNIT},? ){{0,2}}(?:[\p{{L}}\p{{M}}'’.\-]{{1,25}}+,? ){{0,5}}{_PROOF}"
)
_UNIT_BEHIND = regex.compile(rf"{_SEPARATOR}{street.UNIT}")
# Behind a unit there is a city, though nothing proves it.
_CITY_BEHIND = regex.compile(
    rf"(?<={street.UNIT}){_SEPARATOR}(?!(?i:phone|tel|fax|e-?mail|thanks|thank|regards|best|dear|date|name|please|the|and|i)\b){street.NAME}(?:,? (?:{STATES})\b)?(?!:)"
)

_PARTS = (_PROVEN, _PROVEN_IN_LINE, _UNIT_BEHIND, _CITY_BEHIND)


def find_addresses(text: str) -> Iterator[Finding]:
    """Postal addresses, each as far as it reaches over commas and lines, and postcodes by their shape or label."""
    for pattern in _STARTS:
        reached = 0
        for match in pattern.finditer(text):
            if match.start() < reached:
                continue
            address = text[match.start() : _grow(text, match.end())].rstrip(_EDGE)
            reached = match.start() + len(address)
            yield Finding(match.start(), reached, ENTITY, _SCORE)
    for pattern in (_BEFORE_UNIT, _BEFORE_UNIT_ON_ITS_LINE):
        for match in pattern.finditer(text):
            yield Finding(match.start(), match.start() + len(match[0].rstrip(_EDGE)), ENTITY, _SCORE)
    for pattern, group in _LABELLED:
        for match in pattern.finditer(text):
            yield Finding(match.start(group), _grow(text, match.end(group)), ENTITY, _SCORE)


def _grow(text: str, end: int) -> int:
    """How far an address reaches of which the part before `end` is certain."""
    for _ in range(_MOST_PARTS):
        behind = next((found for part in _PARTS if (found := part.match(text, end))), None)
        if behind is None:
            return end
        end = behind.end()
        if behind.re is _CITY_BEHIND:
            return end
    return end
