"""Personal data with a format: Presidio's recognizers, mended where tenants' texts need more.

Imports Presidio: import this module through core.privacy.engines only.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from presidio_analyzer import Pattern
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    UrlRecognizer,
    UsSsnRecognizer,
)

from core.privacy.patterns.presidio import Finder, finder
from core.privacy.types import Finding


class _AnyDomainEmails(EmailRecognizer):
    """Presidio drops addresses outside the public suffix list (`ada@mail.internal`), which it downloads."""

    def validate_result(self, pattern_text: str) -> bool:
        return True


class _Ibans:
    """IBANs, also in lower case and with words behind them, where Presidio takes letters of those words along."""

    _CANDIDATE = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")

    def __init__(self) -> None:
        # Exact: the format of the country, from the first character to the last, so that one length is right.
        self._is_valid = IbanRecognizer(exact_match=True).validate_result

    def find(self, text: str) -> Iterator[Finding]:
        position = 0
        while candidate := self._CANDIDATE.search(text, position):
            start = candidate.start()
            end = self._end(text, start, candidate.end())
            if end is not None:
                yield Finding(start, end, "IBAN_CODE", 1.0)
            position = start + 1 if end is None else end

    def _end(self, text: str, start: int, stop: int) -> int | None:
        for end in range(stop, start + 14, -1):
            at_a_words_end = end == len(text) or not text[end].isalnum()
            if at_a_words_end and self._is_valid(text[start:end].upper()):
                return end
        return None


# Mastercard's 2-series, and cards of 12, 18 and 19 digits, which Presidio's own pattern leaves out.
# The end of a longer row of digits is none of them.
_MORE_CARDS = Pattern(
    "Cards of 12 to 19 digits",
    r"(?<!\d[- ])\b(?:2[2-7]|3[0-9]|4\d|5\d|6\d|21|18)\d{2}(?:[- ]?\d){8,15}\b",
    0.3,
)

# Presidio's patterns may start anywhere in a word: on "a.a.a.a…" that takes seconds.
_URLS = [
    Pattern(pattern.name, r"(?<![A-Za-z0-9.\-])" + pattern.regex, pattern.score)
    for pattern in UrlRecognizer.PATTERNS
]


def emails() -> Finder:
    """E-mail addresses of any domain."""
    return finder(_AnyDomainEmails())


def cards() -> Finder:
    """Payment cards, by their check digit."""
    return finder(CreditCardRecognizer(patterns=[*CreditCardRecognizer.PATTERNS, _MORE_CARDS]))


def ibans() -> Finder:
    """IBANs, by their country's length and their check digits."""
    return _Ibans().find


def social_security_numbers() -> Finder:
    """US social security numbers."""
    return finder(UsSsnRecognizer())


def ip_addresses() -> Finder:
    """IPv4 and IPv6 addresses."""
    return finder(IpRecognizer())


def mac_addresses() -> Finder:
    """Network cards' addresses in three notations."""
    return finder(MacAddressRecognizer())


def bitcoin_addresses() -> Finder:
    """Bitcoin addresses, by their checksum."""
    return finder(CryptoRecognizer())


def urls() -> Finder:
    """Web addresses, without the quotation mark or stop that ends them."""
    find = finder(UrlRecognizer(patterns=_URLS))

    def trimmed(text: str) -> Iterator[Finding]:
        for found in find(text):
            address = text[found.start : found.end].rstrip(".,;:!?\"'“”’»")
            yield replace(found, end=found.start + len(address))

    return trimmed
