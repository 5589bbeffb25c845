"""Names of people as they are written: given names and surnames of some eighty languages, in many orders and spellings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from zlib import crc32

from faker import Faker

from training.pii_model.wordlists import (
    NICKNAMES,
    ROMANISED_FIRST,
    ROMANISED_LAST,
    WORD_LAST_NAMES,
    WORD_NAMES,
)

LOCALES = """en_US en_US en_US en_GB en_GB en_IN en_IE en_NZ en_AU en_CA en_NG en_KE en_PK de_DE de_DE de_AT de_CH fr_FR
fr_FR fr_CH fr_CA es_ES es_MX es_AR es_CO it_IT pt_PT pt_BR nl_NL nl_BE sv_SE no_NO da_DK fi_FI is_IS pl_PL cs_CZ sk_SK
hu_HU ro_RO hr_HR sl_SI et_EE lt_LT lv_LV tr_TR vi_VN id_ID fil_PH ga_IE sw yo_NG zu_ZA tw_GH ig_NG ha_NG uz_UZ az_AZ sq_AL
mt_MT ar_DZ ru_RU uk_UA bg_BG el_GR""".split()
"""Faker's, weighted by repetition."""

_CYRILLIC = dict(
    zip(
        "абвгґдеєёжзиіїйклмнопрстуфхцчшщъыьэюя",
        "a b v g g d e ye yo zh z i i yi y k l m n o p r s t u f kh ts ch sh shch . y . e yu ya".split(),
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",
        "a v g d e z i th i k l m n x o p r s s t y f ch ps o a e i i o y o i y i y".split(),
        strict=True,
    )
)
_LETTERS = {ord(letter): latin.replace(".", "") for letter, latin in (_CYRILLIC | _GREEK).items()}
_ROMANISED = ("ru_RU", "uk_UA", "bg_BG", "el_GR")
_FIRST_PER_LOCALE, _LAST_PER_LOCALE = 300, 600
_PARTICLES = (
    "de la|de|van|van der|van den|von|von der|di|da|dos|del|el|al-|bin|ibn|Mac|O'|D'|St.|zu|ter|le".split("|")
)
_SUFFIXES = "Jr.|Sr.|III|II|PhD|Ph.D.|MD|M.D.|MSc|Esq.|MBA|jun.".split("|")


@dataclass(frozen=True, slots=True)
class Person:
    """One person: the name they are given and that of their family, to be written in many ways."""

    first: str
    middle: str
    last: str


class People:
    """Makes up people. What comes out follows from `random` alone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._by_locale = {locale: _pool(locale) for locale in LOCALES}

    def person(self) -> Person:
        kind = self._random.random()
        if kind < 0.12:
            firsts: Sequence[str] = ROMANISED_FIRST
            lasts: Sequence[str] = ROMANISED_LAST
        else:
            firsts, lasts = self._by_locale[self._random.choice(LOCALES)]
            if kind < 0.22:
                lasts = WORD_LAST_NAMES
            elif kind < 0.28:
                firsts = WORD_NAMES
            elif kind < 0.33:
                firsts = NICKNAMES
            elif kind < 0.41:  # people who moved, and whose parents did
                _, lasts = self._by_locale[self._random.choice(LOCALES)]
        last = self._random.choice(lasts)
        if self._random.random() < 0.06:
            last = self._double_or_particle(last, lasts)
        first = self._random.choice(firsts)
        if self._random.random() < 0.04:
            first = f"{first}{self._random.choice('- ')}{self._random.choice(firsts)}"
        return Person(first, self._random.choice(firsts), last)

    def full(self, person: Person) -> str:
        """The whole name, in one of the orders and with the initials and suffixes that people use."""
        first, middle, last = person.first, person.middle, person.last
        ways = (
            (62, f"{first} {last}"),
            (8, f"{first} {middle[0]}. {last}"),
            (5, f"{first} {middle} {last}"),
            (4, f"{first[0]}. {last}"),
            (2, f"{first[0]}.{middle[0]}. {last}"),
            (1, f"{first[0]}. {middle[0]}. {last}"),
            (2, f"{first} {middle[0]} {last}"),
            (5, f"{last}, {first}"),
            (1, f"{last}, {first[0]}."),
            (1, f"{last} {first[0]}."),
            (3, f"{last} {first}"),
            (2, f"{last.upper()} {first}"),
            (1, f"{last.upper()}, {first}"),
            (2, f"{first} {last} {self._random.choice(_SUFFIXES)}"),
            (1, f"{first} {last}, {self._random.choice(_SUFFIXES)}"),
            (1, f'{first} "{self._random.choice(NICKNAMES)}" {last}'),
            (1, f"{first} {last[0]}."),
        )
        return self._random.choices([way for _, way in ways], [weight for weight, _ in ways])[0]

    def any(self, person: Person) -> str:
        """The name as texts have it: mostly whole, often the given name alone, at times the surname."""
        kind = self._random.random()
        if kind < 0.60:
            return self.full(person)
        return person.first if kind < 0.86 else person.last

    def _double_or_particle(self, last: str, lasts: Sequence[str]) -> str:
        if self._random.random() < 0.5:
            return f"{last}{self._random.choice(['-', '-', ' '])}{self._random.choice(lasts)}"
        particle = self._random.choice(_PARTICLES)
        return f"{particle}{'' if particle[-1] in '-c' + chr(39) else ' '}{last}"


@cache
def _pool(locale: str) -> tuple[list[str], list[str]]:
    """Different given names and surnames of `locale`, in Latin letters: the same ones whenever they are asked for."""
    faker = Faker(locale)
    faker.seed_instance(crc32(locale.encode()))
    firsts = {faker.first_name() for _ in range(_FIRST_PER_LOCALE)}
    lasts = {faker.last_name() for _ in range(_LAST_PER_LOCALE)}
    if locale in _ROMANISED:
        return sorted(map(_romanise, firsts)), sorted(map(_romanise, lasts))
    return sorted(firsts), sorted(lasts)


def _romanise(name: str) -> str:
    return name.lower().translate(_LETTERS).title()
