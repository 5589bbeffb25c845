"""Passwords: argon2id, with the library's current parameters."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 200


# The commonest of those that are long enough, from lists of leaked ones: what an attacker tries first.
_COMMON = frozenset(
    """
    0123456789 1234567890 0987654321 9876543210 12345678910 123456789a 123456789q 1234567891 123123123123 1q2w3e4r5t
    1qaz2wsx3edc q1w2e3r4t5 q1w2e3r4t5y6 qwertyuiop qwertyuiop123 qwerty1234 qwerty12345 qwerty123456 qwertyui123
    asdfghjkl1 asdfghjkl123 zxcvbnm123 abcdefghij abcd123456 abc123456789 a123456789 password12 password123
    password1234 password12345 passw0rd123 p@ssw0rd123 mypassword mypassword1 changeme123 letmein123 letmeinplease
    welcome123 welcome1234 administrator admin123456 adminadmin iloveyou123 iloveyou12 iloveyou1234 sunshine123
    princess123 football123 baseball123 basketball superman123 monkey123456 dragon123456 trustno1trustno1 google1234
    """.split()
)


def is_easily_guessed(password: str, email: str) -> bool:
    """Whether `password` is among the first that somebody would try who knows the address that it is for."""
    folded = password.casefold()
    name = email.casefold().partition("@")[0]
    return folded in _COMMON or len(set(folded)) < 4 or folded in (email.casefold(), name, name * 2)


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
