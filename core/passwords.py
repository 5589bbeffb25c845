"""Passwords: argon2id, with the library's current parameters."""

import re
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 200

_SEPARATORS = re.compile(r"[^\w]+|_")
_GUESSES_LOG10 = 8
"""At fewer guesses than this power of ten, an attack on the sign-in page could succeed in time."""
_OWN_WORDS = ("adaptary",)
_ESTIMATED_LENGTH = 72  # the estimate's time grows with the square of the length; what is longer is no worse


def is_easily_guessed(password: str, words: Iterable[str]) -> bool:
    """Whether few guesses would find `password`, by the estimate of Wheeler, zxcvbn (USENIX Security 2016).

    It knows 30,000 passwords that leaked, English words, names, keyboard walks, dates and their usual spellings
    with digits and signs. `words` are those that somebody would try who knows whose it is: an address, a name.
    """
    known = {word for text in (*words, *_OWN_WORDS) for word in (text, *_SEPARATORS.split(text)) if word}
    estimate = zxcvbn(password[:_ESTIMATED_LENGTH], user_inputs=sorted(known))
    return bool(estimate["guesses_log10"] < _GUESSES_LOG10)


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str) -> str:
    """The argon2id hash of `password`, its salt and parameters included."""
    return _hasher().hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether `password` is the one that was hashed."""
    try:
        return _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def waste_time(password: str) -> None:
    """Take as long as a check would: an address that nobody has must not answer faster than one somebody has."""
    verify_password(_decoy_hash(), password)


@cache
def _decoy_hash() -> str:
    return hash_password("the password of nobody")
