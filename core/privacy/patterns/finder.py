"""All that is found by its form, by kind.

Imports Presidio and libphonenumber: import this module through core.privacy.engines only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from core.privacy.patterns import formats
from core.privacy.patterns.addresses import find_addresses
from core.privacy.patterns.dates import find_dates
from core.privacy.patterns.identity import find_documents, national_ids
from core.privacy.patterns.people import find_ages, find_titles, find_usernames
from core.privacy.patterns.phones import find_phones
from core.privacy.patterns.places import find_countries, find_nationalities
from core.privacy.patterns.presidio import Finder
from core.privacy.types import Finding


@dataclass(frozen=True, slots=True)
class _Rule:
    """What finds one kind, and a cheap condition that a text must meet to be worth its time."""

    entity: str
    find: Finder
    is_possible: Callable[[str], object]


_ANY_DIGIT = re.compile(r"\d").search
_ANY_LETTER = re.compile(r"[^\W\d_]").search


class PatternFinder:
    """Finds what has a form. Cheap to make; every thread may use it."""

    def __init__(self) -> None:
        nine_digits = re.compile(r"\d(?:[-. ]?\d){8}").search
        six_digits = re.compile(r"\d(?:[\s().\-/]{0,3}\d){5}").search
        twelve_digits = re.compile(r"\d(?:[- ]?\d){11}").search
        self._rules = (
            _Rule("EMAIL_ADDRESS", formats.emails(), lambda text: "@" in text),
            _Rule("CREDIT_CARD", formats.cards(), twelve_digits),
            _Rule("IBAN_CODE", formats.ibans(), re.compile(r"[A-Za-z]{2}\d{2}").search),
            _Rule("PHONE_NUMBER", find_phones, six_digits),
            _Rule("US_SSN", formats.social_security_numbers(), nine_digits),
            _Rule("NATIONAL_ID", national_ids(), re.compile(r"\d(?:[-. ]?\d){5}|[A-Za-z]{6}\d").search),
            _Rule("ID_DOCUMENT", find_documents, re.compile(r"\d(?:[-. ]?[\dA-Za-z]){2}").search),
            _Rule(
                "IP_ADDRESS",
                formats.ip_addresses(),
                lambda text: text.count(".") >= 3 or text.count(":") >= 2,
            ),
            _Rule(
                "MAC_ADDRESS",
                formats.mac_addresses(),
                re.compile(r"[0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.").search,
            ),
            _Rule("CRYPTO", formats.bitcoin_addresses(), re.compile(r"[a-zA-Z0-9]{26}").search),
            _Rule("URL", formats.urls(), re.compile(r"\w\.\w").search),
            _Rule("LOCATION", find_addresses, _ANY_DIGIT),
            _Rule("LOCATION", find_countries, _ANY_LETTER),
            _Rule("NATIONALITY", find_nationalities, _ANY_LETTER),
            _Rule("USERNAME", find_usernames, _ANY_LETTER),
            _Rule("AGE", find_ages, _ANY_LETTER),
            _Rule("TITLE", find_titles, _ANY_LETTER),
            _Rule("DATE_TIME", find_dates, _ANY_DIGIT),
        )

    def find(self, text: str, entities: frozenset[str]) -> list[Finding]:
        """Findings of `entities` in `text`; they may overlap."""
        found: list[Finding] = []
        for rule in self._rules:
            if rule.entity in entities and rule.is_possible(text):
                found.extend(rule.find(text))
        return found
