"""Numbers that authorities give people: identity and tax numbers, passports, driving licences.

Imports Presidio: import this module through core.privacy.engines only.
"""

import re
from collections.abc import Callable, Iterator

from presidio_analyzer import PatternRecognizer
from presidio_analyzer.predefined_recognizers import (
    AuMedicareRecognizer,
    AuTfnRecognizer,
    CaSinRecognizer,
    DeHealthInsuranceRecognizer,
    DeSocialSecurityRecognizer,
    DeTaxIdRecognizer,
    EsNieRecognizer,
    EsNifRecognizer,
    FiPersonalIdentityCodeRecognizer,
    InAadhaarRecognizer,
    ItFiscalCodeRecognizer,
    KrRrnRecognizer,
    NgNinRecognizer,
    NhsRecognizer,
    PlPeselRecognizer,
    SePersonnummerRecognizer,
    SgFinRecognizer,
    ThTninRecognizer,
    TrNationalIdRecognizer,
    UkNinoRecognizer,
    UsItinRecognizer,
    UsMbiRecognizer,
    ZaIdNumberRecognizer,
)

from core.privacy.patterns.context import has_word, words, words_around
from core.privacy.patterns.presidio import Finder, finder
from core.privacy.types import Finding

NATIONAL_ID, ID_DOCUMENT = "NATIONAL_ID", "ID_DOCUMENT"

# Told by their shape, with a check digit or letter in it.
_BY_SHAPE: tuple[Callable[..., PatternRecognizer], ...] = (
    DeSocialSecurityRecognizer, EsNieRecognizer, EsNifRecognizer, FiPersonalIdentityCodeRecognizer, ItFiscalCodeRecognizer, KrRrnRecognizer,
    UkNinoRecognizer, UsMbiRecognizer,
)  # fmt: skip
# But digits: a tenth of all numbers of their length have the right check digit, so that words must speak for them.
_IN_CONTEXT: tuple[tuple[Callable[..., PatternRecognizer], str], ...] = (
    (AuMedicareRecognizer, "medicare"),
    (AuTfnRecognizer, "tax file tfn"),
    (CaSinRecognizer, "social insurance sin"),
    (DeHealthInsuranceRecognizer, "krankenversicherung krankenversichertennummer versichertennummer kvnr"),
    (DeTaxIdRecognizer, "steuer steuernummer steueridentifikationsnummer steuerid idnr tax tin"),
    (InAadhaarRecognizer, "aadhaar aadhar uidai"),
    (NgNinRecognizer, "nin national identification identity"),
    (NhsRecognizer, "nhs health"),
    (PlPeselRecognizer, "pesel"),
    (SePersonnummerRecognizer, "personnummer ssn identity"),
    (SgFinRecognizer, "nric fin identity"),
    (ThTninRecognizer, "thai identity tnin national"),
    (TrNationalIdRecognizer, "kimlik tckn tc identity"),
    (UsItinRecognizer, "itin taxpayer individual tax"),
    (ZaIdNumberRecognizer, "identity id"),
)


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_french(value: str) -> bool:
    digits = re.sub(r"\D", "", value.upper().replace("2A", "19").replace("2B", "18"))
    return len(digits) == 15 and 97 - int(digits[:13]) % 97 == int(digits[13:])


def _is_brazilian(value: str) -> bool:
    digits = re.sub(r"\D", "", value)
    if len(set(digits)) == 1:
        return False
    checks = (_weighted(digits, tuple(range(length, 1, -1))) * 10 % 11 % 10 for length in (10, 11))
    return "".join(map(str, checks)) == digits[9:]


def _is_chinese(value: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[_weighted(value, weights) % 11] == value[17].upper()


def _is_swiss(value: str) -> bool:
    digits = re.sub(r"\D", "", value)
    return -_weighted(digits, (1, 3) * 6) % 10 == int(digits[12])


def _is_dutch(value: str) -> bool:
    digits = re.sub(r"\D", "", value).zfill(9)
    return _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


# What Presidio lacks: France, Brazil, China, Switzerland and, in context, the Netherlands.
_OWN: tuple[tuple[str, Callable[[str], bool], tuple[str, ...]], ...] = (
    (
        r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[ABab]) ?\d{3} ?\d{3} ?\d\d",
        _is_french,
        (),
    ),
    (r"\d{3}\.\d{3}\.\d{3}-\d\d", _is_brazilian, ()),
    (r"[1-8]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]", _is_chinese, ()),
    (r"756\.\d{4}\.\d{4}\.\d\d", _is_swiss, ()),
    (r"\d{8,9}|\d{4}[. ]\d{2}[. ]\d{3}", _is_dutch, ("bsn", "burgerservicenummer", "sofinummer")),
)
_OWN_FORMS = tuple(
    (re.compile(rf"(?<![\w.-])(?:{form})(?![\w-]|\.\d)"), check, words) for form, check, words in _OWN
)

_DOCUMENT = re.compile(
    r"(?:\bpassport|\bdriv(?:er|ing)['’]?s?['’]? ?licen[sc]e|\blicen[sc]e (?:no|nr|number|#)|\bid(?:entity)?[ -]card|\bpersonalausweis\w*|"
    r"\breisepass\w*|\bführerschein\w*|\bpasseport|\bpermis de conduire|\bcarte d['’]identité|\bpasaporte|\bpermiso de conducir|\bcarnet de conducir|"
    r"\bpassaporto|\bpatente di guida|\bcarta d['’]identità|\bpaspoort\w*|\brijbewijs\w*|\bidentiteitskaart|\bpassaporte|\bcarta de condução|\bCNH\b|"
    r"\bprawo jazdy|\bpaszport\w*|\bdowód osobisty|\bkörkort\w*|\bpass(?:nummer|port nummer))"
    r"(?:[\s:#.,()=°º-]{1,3}(?:no|nr|nº|n°|num|number|nummer|numéro|número|numero|id|is|ist|est|es|è|of|holder|with|the|mit|der|die|lautet|my|his|her|was)){0,4}"
    r"[\s:#.,()=°º-]{1,3}(?P<number>(?=[A-Z0-9 -]{0,7}\d)[A-Z0-9](?:[ -]?[A-Z0-9]){4,17})(?![\w-])",
    re.IGNORECASE,
)
_FEWEST_DIGITS = 3
_SCORE = 0.75


def national_ids() -> Finder:
    """Identity and tax numbers of two dozen countries."""
    by_shape = [finder(recognizer(), NATIONAL_ID) for recognizer in _BY_SHAPE]
    in_context = [
        finder(recognizer(context=context.split()), NATIONAL_ID, in_context=True)
        for recognizer, context in _IN_CONTEXT
    ]
    all_words = tuple({word for _, context in _IN_CONTEXT for word in context.split()})

    def find(text: str) -> Iterator[Finding]:
        for one in by_shape + (in_context if has_word(words(text), all_words) else []):
            yield from one(text)
        for form, is_right, spoken_of in _OWN_FORMS:
            for match in form.finditer(text):
                start, end = match.span()
                if is_right(match[0]) and (
                    not spoken_of or has_word(words_around(text, start, end), spoken_of)
                ):
                    yield Finding(start, end, NATIONAL_ID, 1.0)

    return find


def find_documents(text: str) -> Iterator[Finding]:
    """What stands behind the words passport, driving licence or identity card, in nine languages."""
    for match in _DOCUMENT.finditer(text):
        value = _without_words(match["number"])
        if sum(map(str.isdigit, value)) >= _FEWEST_DIGITS:
            start = match.start("number")
            yield Finding(start, start + len(value), ID_DOCUMENT, _SCORE)


def _without_words(value: str) -> str:
    """`value` without the words behind it, which in small letters look like parts of it: "C01X00T47 and then"."""
    parts = re.split(r"(?<=[A-Za-z0-9])( )", value)
    while len(parts) > 1 and not any(map(str.isdigit, parts[-1])):
        parts = parts[:-2]
    return "".join(parts)
