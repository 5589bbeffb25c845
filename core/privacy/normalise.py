"""One spelling for each value, so that one person's number gets one placeholder however it is written."""

import ipaddress
import unicodedata

_DIGITS_ONLY = frozenset({"CREDIT_CARD", "US_SSN"})
_LETTERS_AND_DIGITS = frozenset({"IBAN_CODE", "MAC_ADDRESS", "NATIONAL_ID", "ID_DOCUMENT"})
_CASE_MATTERS = frozenset({"CRYPTO"})
_NAMES = frozenset({"PERSON", "ORGANIZATION", "LOCATION", "TITLE", "NATIONALITY"})


def normalise(entity: str, value: str) -> str:
    """`value` without what does not tell it from another value of its kind: case, spacing, separators."""
    text = unicodedata.normalize("NFKC", value)
    if entity not in _CASE_MATTERS:
        # Folding takes some letters apart that were one.
        text = unicodedata.normalize("NFKC", text.casefold())
    spaced = " ".join(text.split())
    if entity == "PHONE_NUMBER":
        # 0044 7700… and +44 7700… are one number; a national spelling of it stays another.
        normal = _digits(text).removeprefix("00")
    elif entity in _DIGITS_ONLY:
        normal = _digits(text)
    elif entity in _LETTERS_AND_DIGITS:
        normal = "".join(filter(str.isalnum, text))
    elif entity == "IP_ADDRESS":
        normal = _ip_address(text)
    elif entity in _NAMES:
        normal = " ".join("".join(" " if _is_sign(char) else char for char in text).split())
    else:
        normal = spaced
    return normal or spaced


def _is_sign(char: str) -> bool:
    # Not what is no letter: many scripts write vowels as marks.
    return unicodedata.category(char)[0] in "PS"


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(char)) for char in text if char.isdigit())


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text
