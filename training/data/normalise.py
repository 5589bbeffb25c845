"""Texts as they are kept, and the keys by which two of them count as the same."""

import re
import unicodedata
from hashlib import blake2b

_ASCII_SEPARATORS = re.compile(r"[^a-z0-9]+")
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u200b\u2060\ufeff]")
_SPACES = re.compile(r"\s+")


def clean_text(text: str) -> str:
    """`text` as it is kept: composed Unicode, plain line breaks, no control characters, no outer spaces."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return _CONTROL.sub("", text).strip()


def clean_label(label: str) -> str:
    """`label` as it is kept: like a text, on one line."""
    return _SPACES.sub(" ", clean_text(label))


def without_case_and_punctuation(text: str) -> str:
    """`text` with neither, single-spaced; a text of nothing else (an emoji) is only folded."""
    folded = text.casefold()
    if folded.isascii():
        key = _ASCII_SEPARATORS.sub(" ", folded).strip()
    else:
        # Compatibility forms (full-width, mathematical) have a case of their own, and some fold to what composes.
        for _ in range(2):
            folded = unicodedata.normalize("NFKC", folded).casefold()
        folded = unicodedata.normalize("NFKC", folded)
        # Letters, marks (an Indic vowel is one) and numbers stay; punctuation, symbols and spaces separate.
        key = " ".join(
            "".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in folded).split()
        )
    return key or " ".join(folded.split())


def digest64(text: str) -> int:
    """64 bits that stand for `text`: of ten million texts two are the same by chance once in 370,000 files."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def text_key(text: str) -> int:
    """64 bits that are equal for texts that differ in case and punctuation only."""
    return digest64(without_case_and_punctuation(text))
