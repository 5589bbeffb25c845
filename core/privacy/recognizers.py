"""Personal data with a format: Presidio's recognizers, mended where tenants' texts need more.

Imports Presidio: import this module through core.privacy.engines only.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    DateRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    PhoneRecognizer,
    UrlRecognizer,
    UsSsnRecognizer,
)

from core.privacy.types import Finding

THRESHOLD = 0.4
# As in Presidio's own context enhancer, which needs a full spaCy pipeline with lemmas.
_CONTEXT_BOOST = 0.35
_CONTEXT_WORDS = 5
_CONTEXT_CHARACTERS = 80

_WORD = re.compile(r"[^\W_]+")


class _AnyDomainEmails(EmailRecognizer):
    """Presidio drops addresses outside the public suffix list (`ada@mail.internal`), which it downloads."""

    def validate_result(self, pattern_text: str) -> bool:
        return True


class _AnySpellingIbans(IbanRecognizer):
    """Finds IBANs in lower case and with words behind them, where Presidio takes letters of those words along."""

    _CANDIDATE = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")

    def __init__(self) -> None:
        # Exact: the format of the country, from the first character to the last, so that one length is right.
        super().__init__(exact_match=True)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: Any = None, regex_flags: int | None = None
    ) -> list[RecognizerResult]:
        return list(self._find(text))

    def _find(self, text: str) -> Iterator[RecognizerResult]:
        position = 0
        while candidate := self._CANDIDATE.search(text, position):
            start = candidate.start()
            end = self._end(text, start, candidate.end())
            if end is not None:
                yield RecognizerResult(self.supported_entities[0], start, end, EntityRecognizer.MAX_SCORE)
            position = start + 1 if end is None else end

    def _end(self, text: str, start: int, stop: int) -> int | None:
        for end in range(stop, start + 14, -1):
            at_a_words_end = end == len(text) or not text[end].isalnum()
            if at_a_words_end and self.validate_result(text[start:end].upper()):
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

# "number" is Presidio's too, but orders, invoices and tickets have numbers as well.
_PHONE_WORDS = (
    "phone", "telephone", "tel", "mobile", "cell", "cellphone", "call", "calls", "called", "calling", "ring", "dial", "text", "sms", "fax",
    "whatsapp", "reach", "contact", "landline", "hotline", "telefon", "handy", "mobil", "teléfono", "móvil",
    "téléphone", "portable", "telefono", "cellulare",
)  # fmt: skip
_NO_PHONE_WORDS = (
    "order", "invoice", "tracking", "ticket", "claim", "reference", "ref", "case", "customer", "account", "serial",
    "booking", "contract", "parcel", "receipt", "article", "sku",
)  # fmt: skip
# How a phone number is written where no words say that it is one: with a prefix, or in the groups of North America
# or India. In other groups, ten digits are as often an order.
_PHONE_SHAPE = re.compile(r"\+|0|\(\d|(?:1[-. ])?\d{3}[-. ]\d{3}[-. ]\d{4}\b|\d{5} \d{5}\b")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")


class _Phones:
    """Phone numbers: valid ones by their shape, merely possible ones with a country's code or words of a phone around.

    Possible is what has the right length; numbers that are reserved for films and examples are not valid.
    """

    def __init__(self) -> None:
        # Canada's numbers are found as those of the United States, whose plan it shares.
        regions = [region for region in PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS if region != "CA"]
        self._valid = PhoneRecognizer(leniency=1, supported_regions=regions)
        self._possible = PhoneRecognizer(leniency=0, supported_regions=regions)

    def find(self, text: str) -> Iterator[Finding]:
        valid = {(found.start, found.end) for found in self._valid.analyze(text, [])}
        for start, end in valid | self._find_possible(text):
            # A bracket that does not close in the number is the sentence's.
            opened = text[start] == "(" and text.count("(", start, end) > text.count(")", start, end)
            first = start + opened
            is_valid = (start, end) in valid or text[first] == "+"
            value = text[first:end]
            if sum(map(str.isdigit, value)) < 7 or _DATE.fullmatch(value):
                continue
            words = _words_around(text, first, end)
            if _has_word(words, _PHONE_WORDS):
                yield Finding(first, end, "PHONE_NUMBER", THRESHOLD + _CONTEXT_BOOST)
            elif is_valid and _PHONE_SHAPE.match(value) and not _has_word(words, _NO_PHONE_WORDS):
                yield Finding(first, end, "PHONE_NUMBER", THRESHOLD)

    def _find_possible(self, text: str) -> set[tuple[int, int]]:
        """Spans that may count for numbers; none where nothing in `text` could make them count."""
        if "+" not in text and not _has_word(_words(text), _PHONE_WORDS):
            return set()
        return {(found.start, found.end) for found in self._possible.analyze(text, [])}


class _Urls:
    """Web addresses, without the quotation mark or stop that ends them."""

    def __init__(self) -> None:
        self._find = _presidio(UrlRecognizer(patterns=_URLS))

    def find(self, text: str) -> Iterator[Finding]:
        for found in self._find(text):
            address = text[found.start : found.end].rstrip(".,;:!?\"'“”’»")
            yield replace(found, end=found.start + len(address))


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entity's recognizer, and a cheap condition that a text must meet to be worth its time."""

    find: Callable[[str], Iterator[Finding]]
    is_possible: Callable[[str], object]


class PatternFinder:
    """Finds entities that have a format."""

    def __init__(self) -> None:
        nine_digits = re.compile(r"\d(?:[-. ]?\d){8}").search
        seven_digits = re.compile(r"\d(?:[\s().\-/]{0,3}\d){6}").search
        twelve_digits = re.compile(r"\d(?:[- ]?\d){11}").search
        self._rules = {
            "EMAIL_ADDRESS": _Rule(_presidio(_AnyDomainEmails()), lambda text: "@" in text),
            "CREDIT_CARD": _Rule(
                _presidio(CreditCardRecognizer(patterns=[*CreditCardRecognizer.PATTERNS, _MORE_CARDS])),
                twelve_digits,
            ),
            "IBAN_CODE": _Rule(_presidio(_AnySpellingIbans()), re.compile(r"[A-Za-z]{2}\d{2}").search),
            "PHONE_NUMBER": _Rule(_Phones().find, seven_digits),
            "US_SSN": _Rule(_presidio(UsSsnRecognizer()), nine_digits),
            "IP_ADDRESS": _Rule(
                _presidio(IpRecognizer()), lambda text: text.count(".") >= 3 or text.count(":") >= 2
            ),
            "MAC_ADDRESS": _Rule(
                _presidio(MacAddressRecognizer()), re.compile(r"[0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.").search
            ),
            "CRYPTO": _Rule(_presidio(CryptoRecognizer()), re.compile(r"[a-zA-Z0-9]{26}").search),
            "URL": _Rule(_Urls().find, re.compile(r"\w\.\w").search),
            "DATE_TIME": _Rule(_presidio(DateRecognizer()), re.compile(r"\d").search),
        }

    def find(self, text: str, entities: frozenset[str]) -> list[Finding]:
        """Findings of `entities` in `text`; they may overlap."""
        found: list[Finding] = []
        for entity, rule in self._rules.items():
            if entity in entities and rule.is_possible(text):
                found.extend(rule.find(text))
        return found


def _presidio(recognizer: PatternRecognizer) -> Callable[[str], Iterator[Finding]]:
    """The recognizer's results above the threshold, with Presidio's boost for words that speak of the entity."""
    entity = recognizer.supported_entities[0]
    context = tuple(word.strip().casefold() for word in recognizer.context)

    def find(text: str) -> Iterator[Finding]:
        for result in recognizer.analyze(text, [entity]):
            score = result.score
            if score < 1 and _has_word(_words_around(text, result.start, result.end), context):
                score = min(max(score + _CONTEXT_BOOST, THRESHOLD), 1.0)
            if score >= THRESHOLD:
                yield Finding(result.start, result.end, entity, score)

    return find


def _words_around(text: str, start: int, end: int) -> list[str]:
    """The few words before and behind a match, case folded."""
    before = _words(text[max(0, start - _CONTEXT_CHARACTERS) : start])[-_CONTEXT_WORDS:]
    behind = _words(text[end : end + _CONTEXT_CHARACTERS])[:_CONTEXT_WORDS]
    return before + behind


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _has_word(words: list[str], wanted: tuple[str, ...]) -> bool:
    """Whether one of `words` is a wanted one, its plural, or, for one of five letters on, begins with it."""
    return any(
        word in wanted or word.removesuffix("s") in wanted or word.startswith(prefixes)
        for prefixes in [tuple(prefix for prefix in wanted if len(prefix) >= 5)]
        for word in words
    )
