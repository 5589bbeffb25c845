"""Phone numbers, by libphonenumber and by the words around them.

Imports phonenumbers: import this module through core.privacy.engines only.
"""

import re
from collections.abc import Iterator

from phonenumbers import PhoneNumberMatcher

from core.privacy.patterns.context import has_word, words, words_around
from core.privacy.types import Finding

ENTITY = "PHONE_NUMBER"
# Canada's numbers are found as those of the United States, whose plan it shares.
_REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "BR")
_POSSIBLE, _VALID = 0, 1  # how strict libphonenumber is
_BY_SHAPE, _BY_WORDS = 0.4, 0.75

# "number" is Presidio's too, but orders, invoices and tickets have numbers as well.
_WORDS = (
    "phone", "telephone", "tel", "mobile", "cell", "cellphone", "call", "calls", "called", "calling", "ring", "dial", "text", "sms", "fax",
    "whatsapp", "reach", "contact", "landline", "hotline", "telefon", "handy", "mobil", "teléfono", "móvil",
    "téléphone", "portable", "telefono", "cellulare",
)  # fmt: skip
_OTHER_NUMBERS = (
    "order", "invoice", "tracking", "ticket", "claim", "reference", "ref", "case", "customer", "account", "serial",
    "booking", "contract", "parcel", "receipt", "article", "sku",
)  # fmt: skip
# How a phone number is written where no words say that it is one: with a prefix, or in the groups of North America
# or India. In other groups, ten digits are as often an order.
_SHAPE = re.compile(r"\+|0|\(\d|(?:1[-. ])?\d{3}[-. ]\d{3}[-. ]\d{4}\b|\d{5} \d{5}\b")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_DIGITS = r"\+?\(?\d(?:[ \t().\-/]{0,2}\d){5,16}(?: ?(?:x|ext\.? ?)\d{1,6})?(?![0-9A-Za-z_@])"
_LABEL = (
    r"phone|telephone|tel|mobile|cell|fax|desk|office|home|work|whatsapp|telefon|telefax|handy|mobil|t[ée]l[ée]phone|telefono|teléfono|"
    r"telefone|m[óo]vil|portable|cellulare|celular|telefoon|mobiel|gsm|puhelin|telefonnummer|τηλέφωνο|τηλ|κινητό|телефон|тел|моб|電話(?:番号)?は?"
)
_REACHED_AT = (
    r"(?:answer(?:ing|s|ed)?|messages?|messaging|text(?:ed|ing)?|call(?:ed|ing|s)?|ring|reach(?:ed|able)?|contact(?:ed)?)"
    r"(?: (?:me|us|him|her|them))?(?: back)? (?:at|on|to|from|under)"
    r"|erreich\w+ .{0,20}\bunter|joindre au|appel\w+ (?:au|le)|llam\w+ al|chiam\w+ al|lig\w+(?:-me)? para|bereiken op|når mig på|dzwoni\w+ pod"
)
# What stands right behind "Phone:" is one in any country's groups, and with an extension.
_LABELLED = re.compile(
    rf"\b(?:(?:{_LABEL})(?: ?(?:no|nr|number|numéro|número)\b)?\.?[ \t]{{0,3}}(?:[:#=]|is\b)?\s{{0,3}}|(?:{_REACHED_AT}) )"
    rf"(?P<number>{_DIGITS})",
    re.IGNORECASE,
)
_SEVEN_DIGITS = re.compile(r"\d(?:[\s().\-/]{0,3}\d){6}")
_EXTENSION = re.compile(r" ?(?:x|ext\.?) ?\d{1,6}\b", re.IGNORECASE)


def find_phones(text: str) -> Iterator[Finding]:
    """Phone numbers: valid ones by their shape, merely possible ones with a country's code or words of a phone around.

    Possible is what has the right length; numbers that are reserved for films and examples are not valid.
    """
    for match in _LABELLED.finditer(text):
        start, end = match.span("number")
        if not _DATE.fullmatch(text, start, end):
            yield Finding(start, end, ENTITY, _BY_WORDS)
    if not _SEVEN_DIGITS.search(text):
        return
    valid = _matches(text, _VALID)
    for start, end in valid | _possible(text):
        # A bracket that does not close in the number is the sentence's.
        opened = text[start] == "(" and text.count("(", start, end) > text.count(")", start, end)
        first = start + opened
        is_valid = (start, end) in valid or text[first] == "+"
        value = text[first:end]
        if sum(map(str.isdigit, value)) < 7 or _DATE.fullmatch(value):
            continue
        extension = _EXTENSION.match(text, end)
        last = extension.end() if extension else end
        around = words_around(text, first, end)
        if has_word(around, _WORDS):
            yield Finding(first, last, ENTITY, _BY_WORDS)
        elif is_valid and _SHAPE.match(value) and not has_word(around, _OTHER_NUMBERS):
            yield Finding(first, last, ENTITY, _BY_SHAPE)


def _possible(text: str) -> set[tuple[int, int]]:
    """Spans that may count for numbers; none where nothing in `text` could make them count."""
    if "+" not in text and not has_word(words(text), _WORDS):
        return set()
    return _matches(text, _POSSIBLE)


def _matches(text: str, leniency: int) -> set[tuple[int, int]]:
    return {
        (match.start, match.end)
        for region in _REGIONS
        for match in PhoneNumberMatcher(text, region, leniency=leniency)
    }
