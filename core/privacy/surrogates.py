"""Realistic values that are nobody's, drawn by a keyed hash: the same value, the same surrogate.

Numbers come from ranges that are reserved or not given out: telephone numbers 555-0100 to 555-0199, social security
numbers of area 666, card numbers beginning with 9, IBANs of the country ZZ, addresses of RFC 5737 and RFC 3849, network
cards of the locally administered range.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address

_GIVEN = (
    "Alma Anton Bela Bruno Carla Casper Dana Dario Edda Emil Fenna Felix Greta Gideon Hanna Hugo Ida Ivo Jana Jonas "
    "Kira Konrad Lena Lukas Mara Milo Nadia Nils Olga Otto Paula Pavel Rika Ruben Sanna Simon Tilda Tobias Ulla Urs "
    "Vera Viktor Wanda Willem Xenia Yara Yannis Zora"
).split()
_FAMILY = (
    "Adler Albrook Bergen Birkley Calder Corwin Dahlen Draper Ebbing Elmer Fairlow Fenwick Garling Grover Halden "
    "Hartwell Ingram Iversen Jarvik Joslin Kessler Kirby Lander Lindqvist Marlow Merrick Norden Norwood Oakes Osborn "
    "Pelham Prewitt Quill Quimby Randell Rowley Sandell Selwyn Tarling Thorne Ullman Upton Vance Verner Walden Wexley "
    "Yarrow Yates Zeller Zimmer"
).split()
_PLACES = (
    "Ashby Birchport Brookdale Cedarton Clearford Dunmere Eastvale Elmstead Fairhaven Glenrock Greenhill Harborough "
    "Hollowell Kingsmere Lakeview Larchfield Maplewood Millbrook Northgate Oakridge Pinehurst Redbridge Riverton "
    "Rosedale Silverton Southmoor Stonefield Thornbury Westbrook Willowby"
).split()
_TRADES = "Analytics Logistics Foods Systems Textiles Energy Optics Marine Paper Tools".split()
_TITLES = ("Mr.", "Ms.", "Mx.", "Prof.")
_NATIONALITIES = "Austrian Belgian Chilean Danish Finnish Icelandic Kenyan Latvian Maltese Peruvian".split()
_MONTHS = ("January February March April May June July August September October November December").split()


class _Draw:
    """Numbers out of a keyed hash, used up from its end."""

    def __init__(self, digest: bytes) -> None:
        self._rest = int.from_bytes(digest)

    def below(self, bound: int) -> int:
        self._rest, drawn = divmod(self._rest, bound)
        return drawn

    def one_of(self, words: Sequence[str]) -> str:
        return words[self.below(len(words))]

    def digits(self, count: int) -> str:
        return f"{self.below(10**count):0{count}}"


def find_surrogate(entity: str, value: str, digest: bytes) -> str | None:
    """A value of the kind `entity` in the shape of `value`, drawn by `digest` (32 bytes); None for kinds that have
    none: what somebody lists, Bitcoin addresses, and the numbers of authorities."""
    make = _MAKERS.get(entity)
    return None if make is None else make(value, _Draw(digest))


def _person(value: str, draw: _Draw) -> str:
    given = draw.one_of(_GIVEN)
    return given if len(value.split()) == 1 else f"{given} {draw.one_of(_FAMILY)}"


def _location(value: str, draw: _Draw) -> str:
    place = draw.one_of(_PLACES)
    if not any(char.isdigit() for char in value):
        return place
    return f"{1 + draw.below(200)} {draw.one_of(_FAMILY)} Street, {place}"


def _organization(_value: str, draw: _Draw) -> str:
    return f"{draw.one_of(_FAMILY)} {draw.one_of(_TRADES)}"


def _email(_value: str, draw: _Draw) -> str:
    name = f"{draw.one_of(_GIVEN)}.{draw.one_of(_FAMILY)}".lower()
    return f"{name}{draw.below(1000)}@example.{draw.one_of(('com', 'org', 'net'))}"


def _phone(_value: str, draw: _Draw) -> str:
    area = f"{2 + draw.below(8)}{draw.below(9)}{draw.below(10)}"
    return f"+1 {area} 555 01{draw.digits(2)}"


def _card(_value: str, draw: _Draw) -> str:
    body = "9" + draw.digits(14)
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(body)]
    number = body + str(-sum(sum(divmod(digit, 10)) for digit in doubled) % 10)
    return " ".join(number[start : start + 4] for start in range(0, 16, 4))


def _iban(_value: str, draw: _Draw) -> str:
    body = draw.digits(18)
    # ISO 13616: with the country (Z is 35) and 00 behind, 98 less the remainder by 97.
    number = f"ZZ{98 - int(f'{body}353500') % 97:02}{body}"
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


def _ssn(_value: str, draw: _Draw) -> str:
    return f"666-{1 + draw.below(99):02}-{1 + draw.below(9999):04}"


def _ip(value: str, draw: _Draw) -> str:
    if ":" in value:
        return str(IPv6Address((0x20010DB8 << 96) + draw.below(1 << 96)))
    return f"{draw.one_of(('192.0.2', '198.51.100', '203.0.113'))}.{draw.below(256)}"


def _mac(_value: str, draw: _Draw) -> str:
    return ":".join(["02", *(f"{draw.below(256):02X}" for _ in range(5))])


def _date(_value: str, draw: _Draw) -> str:
    return f"{1 + draw.below(28)} {draw.one_of(_MONTHS)} {1930 + draw.below(90)}"


def _age(_value: str, draw: _Draw) -> str:
    return str(20 + draw.below(60))


def _title(_value: str, draw: _Draw) -> str:
    return draw.one_of(_TITLES)


def _nationality(_value: str, draw: _Draw) -> str:
    return draw.one_of(_NATIONALITIES)


def _username(_value: str, draw: _Draw) -> str:
    return f"@{draw.one_of(_GIVEN).lower()}_{draw.digits(6)}"


def _url(_value: str, draw: _Draw) -> str:
    return f"https://example.{draw.one_of(('com', 'org', 'net'))}/{draw.below(16**10):010x}"


_MAKERS: dict[str, Callable[[str, _Draw], str]] = {
    "PERSON": _person,
    "LOCATION": _location,
    "ORGANIZATION": _organization,
    "EMAIL_ADDRESS": _email,
    "PHONE_NUMBER": _phone,
    "CREDIT_CARD": _card,
    "IBAN_CODE": _iban,
    "US_SSN": _ssn,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "USERNAME": _username,
    "AGE": _age,
    "TITLE": _title,
    "NATIONALITY": _nationality,
    "DATE_TIME": _date,
    "URL": _url,
}
