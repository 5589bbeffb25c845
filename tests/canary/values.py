"""The planted values: of every kind of personal data, in the shapes that people write, and to be found nowhere by chance."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random

from core.privacy.entities import ENTITIES

COUNT = 200
_LETTERS = "bcdfghjklmnpqrstvwxz"
_WORD = 10
"""Letters of a made-up word: no two of 20 letters are alike in a search, and none is a word of anybody's."""

_MARK = re.compile(r"[a-zA-Z0-9]{9,}")


@dataclass(frozen=True)
class Canary:
    """A planted value. `marks` are what no place may hold of it: all of it, or a part that is its alone."""

    entity: str
    value: str

    @property
    def marks(self) -> tuple[str, ...]:
        digits = re.sub(r"\D", "", self.value)
        whole = (self.value, re.sub(r"\s+", "", self.value), *([digits] if len(digits) > 11 else []))
        return tuple(dict.fromkeys([*whole, *_MARK.findall(self.value)]))


class _Maker:
    """Makes the parts of values, the same ones from the same seed."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def word(self) -> str:
        return "".join(self._random.choices(_LETTERS, k=_WORD))

    def digits(self, count: int) -> str:
        return "".join(self._random.choices("123456789", k=count))

    def hex(self, count: int) -> str:
        return "".join(self._random.choices("0123456789abcdef", k=count))


def _name(make: _Maker, number: int) -> str:
    """A name, in one of the ways that trip up what carries it."""
    first, last = make.word(), make.word()
    return (
        f"{first.title()} {last.title()}",
        f"{first.upper()} {last.upper()}",
        f"{first.title()} O'{last.title()}",
        f'{first.title()} "{last}" {make.word().title()}',
        f"{first.title()}ßł Łódź-{last.title()}é",
        f"{first[:5]}{first[5:].upper()}-{last.title()} \\{make.word()}",
        f"李{first.title()}／{last.title()}",
        f"{first.title()} – {last.title()} & <{make.word()}>",
    )[number % 8]


_SHAPES: dict[str, Callable[[_Maker, int], str]] = {
    "EMAIL_ADDRESS": lambda make, _: f"{make.word()}.{make.word()}@{make.word()}.example",
    "PHONE_NUMBER": lambda make, _: f"+44 {make.digits(4)} {make.digits(4)} {make.digits(4)}",
    "CREDIT_CARD": lambda make, _: " ".join(make.digits(4) for _ in range(4)),
    "IBAN_CODE": lambda make, _: f"DE{make.digits(2)} {make.digits(4)} {make.digits(4)} {make.digits(10)}",
    "US_SSN": lambda make, _: f"{make.digits(3)}-{make.digits(4)}-{make.digits(6)}",
    "IP_ADDRESS": lambda make, _: ":".join(make.hex(4) for _ in range(8)),
    "MAC_ADDRESS": lambda make, _: ":".join(make.hex(2) for _ in range(8)),
    "USERNAME": lambda make, _: f"@{make.word()}_{make.word()}",
    "URL": lambda make, _: f"https://{make.word()}.example/{make.word()}?q={make.word()}",
    "DATE_TIME": lambda make, _: f"{make.digits(2)} {make.word().title()} {make.digits(4)}",
    "AGE": lambda make, _: f"{make.digits(2)} {make.word()} old",
}


def make_canaries(seed: str = "canaries", count: int = COUNT) -> list[Canary]:
    """As many planted values, every kind of personal data among them."""
    make = _Maker(seed)
    return [
        Canary(entity.name, _SHAPES.get(entity.name, _name)(make, number // len(ENTITIES)))
        for number, entity in enumerate(islice(cycle(ENTITIES), count))
    ]
