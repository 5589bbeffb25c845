"""Values covered, so that their owner knows them again and nobody else learns them."""

# Of a number shorter than this, four digits would give too much away.
_MIN_DIGITS_TO_SHOW_LAST_FOUR = 10
_HIDDEN = "***"
_WORDS = frozenset(
    {"PERSON", "LOCATION", "ORGANIZATION", "TITLE", "NATIONALITY", "USERNAME", "URL", "DATE_TIME", "CUSTOM"}
)


def mask(entity: str, value: str) -> str:
    """`value` covered: `J*** S***`, `***1881`."""
    digits = [char for char in value if char.isdigit()]
    if entity == "EMAIL_ADDRESS":
        return "@".join(_first_letter(part) for part in value.split("@"))
    if entity in _WORDS:
        return " ".join(_first_letter(word) for word in value.split())
    if len(digits) >= _MIN_DIGITS_TO_SHOW_LAST_FOUR and entity in {
        "CREDIT_CARD",
        "IBAN_CODE",
        "PHONE_NUMBER",
    }:
        return _HIDDEN + "".join(digits[-4:])
    return _HIDDEN


def _first_letter(word: str) -> str:
    # A fixed number of stars: the length of a name says much about it.
    return (word[0] if word[:1].isalpha() else "") + _HIDDEN
