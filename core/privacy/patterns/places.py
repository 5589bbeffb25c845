"""Countries and nationalities, which are few enough to list."""

import re
from collections.abc import Iterator

from core.privacy.patterns.gazetteer import ALSO_WORDS, COUNTRIES, NATIONALITIES
from core.privacy.types import Finding

_SCORE = 0.6
_LONGEST = max(len(name.split()) for name in COUNTRIES)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")

_LOWER_COUNTRIES = frozenset(name.casefold() for name in COUNTRIES)
_FIRST_WORDS = frozenset(name.split()[0] for name in _LOWER_COUNTRIES)
_LOWER_NATIONALITIES = frozenset(name.casefold() for name in NATIONALITIES)


def find_countries(text: str) -> Iterator[Finding]:
    """Names of countries, of which those that are words as well count in capitals only."""
    words = list(_WORD.finditer(text))
    for index, first in enumerate(words):
        if first[0].casefold() not in _FIRST_WORDS:
            continue
        for last in reversed(words[index : index + _LONGEST]):
            start, end = first.start(), last.end()
            name = " ".join(text[start:end].split())
            if name.casefold() in _LOWER_COUNTRIES and _is_meant(name):
                yield Finding(start, end, "LOCATION", _SCORE)
                break


def find_nationalities(text: str) -> Iterator[Finding]:
    """What people are by nationality or religion, in the singular or the plural."""
    for word in _WORD.finditer(text):
        lower = word[0].casefold()
        if (lower in _LOWER_NATIONALITIES or lower.removesuffix("s") in _LOWER_NATIONALITIES) and _is_meant(
            word[0]
        ):
            yield Finding(*word.span(), "NATIONALITY", _SCORE)


def _is_meant(name: str) -> bool:
    return name[0].isupper() or (name not in ALSO_WORDS and len(name) > 3)
