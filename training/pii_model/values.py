"""What the slots of templates are filled with."""

import string
from collections.abc import Callable
from functools import cache
from random import Random
from zlib import crc32

from faker import Faker

from training.pii_model.people import People, Person
from training.pii_model.places import Places
from training.pii_model.wordlists import (
    BRANDS,
    CAPITALISED,
    COMPANY_ENDINGS,
    COMPANY_WORDS,
    HONORIFICS,
    INSTITUTIONS,
    NATIONALITIES,
    OCCUPATIONS,
    PEOPLES,
    PRODUCTS,
)

_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_HOLIDAYS = (
    "Christmas Eve",
    "New Year's Day",
    "Labor Day",
    "Easter Monday",
    "Thanksgiving",
    "Independence Day",
)
_NUMBERS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_UNITS = "one two three four five six seven eight nine".split()
_COMPANY_LOCALES = (
    "en_US",
    "en_US",
    "en_GB",
    "de_DE",
    "fr_FR",
    "it_IT",
    "es_ES",
    "nl_NL",
    "sv_SE",
    "pl_PL",
    "pt_BR",
    "fi_FI",
)


class Values:
    """Makes up values. What comes out follows from `random` alone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.people = People(random)
        self.places = Places(random)
        self._faker = Faker("en_US")
        self._faker.seed_instance(random.getrandbits(32))
        self._companies = [_companies(locale) for locale in _COMPANY_LOCALES]
        pick = random.choice
        self._makers: dict[str, Callable[[], str]] = {
            "city": self.places.city,
            "country": lambda: self.places.country() if random.random() < 0.7 else str(self._faker.country()),
            "region": self.places.region,
            "place": self.places.any,
            "street": self.places.street,
            "address": self.places.address,
            "postcode": self.places.postcode,
            "org": self.organization,
            "date": self.date,
            "year": lambda: str(random.randint(1890, 2030)),
            "weekday": lambda: pick(_DAYS),
            "time": self.time,
            "age": self.age,
            "honorific": lambda: pick(HONORIFICS),
            "occupation": lambda: self._cased(
                pick(OCCUPATIONS) if random.random() < 0.5 else str(self._faker.job())
            ),
            "nationality": lambda: pick(NATIONALITIES),
            "people": lambda: pick(PEOPLES),
            "username": self.username,
            # Below: what the tagger is to leave alone.
            "job": lambda: pick(OCCUPATIONS).lower(),
            "product": lambda: pick(PRODUCTS),
            "word": lambda: pick(CAPITALISED),
            "email": self.email,
            "phone": self._faker.phone_number,
            "card": self._faker.credit_card_number,
            "iban": self._faker.iban,
            "ip": self._faker.ipv4,
            "url": self._faker.url,
            "id": self._id,
            "n": lambda: str(random.randint(2, 99)),
            "number": lambda: str(random.choice([random.randint(2, 99), random.randint(100, 99999)])),
            "amount": lambda: (
                f"{pick(['$', '€', '£', 'USD ', 'EUR '])}{random.randint(1, 9999)}{pick(['', '.00', '.50', ',99'])}"
            ),
            "title_case": lambda: self._faker.sentence(nb_words=4).rstrip(".").title(),
            "clean": lambda: self._faker.sentence(nb_words=random.randint(4, 12)),
        }

    def make(self, slot: str) -> str:
        """A value for the slot of this name. Raises KeyError for one that there is not."""
        return self._makers[slot]()

    def organization(self) -> str:
        random = self._random
        kind = random.random()
        if kind < 0.28:
            return random.choice(BRANDS)
        if kind < 0.50:
            return random.choice(random.choice(self._companies))
        if kind < 0.80:
            first, second = random.choice(COMPANY_WORDS), random.choice(COMPANY_WORDS)
            joined = random.choice(
                [f"{first} {second}", f"{first}{second.lower()}", f"{first}{second}", first]
            )
            return (
                f"{joined} {random.choice(COMPANY_ENDINGS)}"
                if random.random() < 0.7 or joined == first
                else joined
            )
        if kind < 0.84:
            letters = "".join(random.choices(string.ascii_uppercase, k=random.randint(2, 5)))
            return f"{letters} {random.choice(COMPANY_ENDINGS)}" if random.random() < 0.3 else letters
        people = [self.people.person() for _ in range(3)]
        return random.choice(INSTITUTIONS).format(
            place=self.places.any().removeprefix("the "),
            first=people[0].first,
            last=people[0].last,
            last2=people[1].last,
            last3=people[2].last,
        )

    def date(self) -> str:
        random = self._random
        day, month, year = random.randint(1, 28), random.randint(1, 12), random.randint(1930, 2029)
        name = _MONTHS[month - 1]
        return random.choice(
            [
                f"{year}-{month:02}-{day:02}", f"{year}-{month:02}-{day:02} {self._clock()}", f"{day:02}/{month:02}/{year}",
                f"{month}/{day}/{year}", f"{month}/{day}/{year % 100:02}", f"{day}.{month}.{year}", f"{day:02}.{month:02}.{year % 100:02}",
                f"{day} {name} {year}", f"{name} {day}, {year}", f"{name} {day}", f"{day} {name}", f"{name[:3]} {day}",
                f"{day}{_ordinal(day)} of {name}", f"{name} {day}{_ordinal(day)}", f"{name} {year}", str(year), str(year),
                random.choice(_DAYS), f"{random.choice(_DAYS)}, {name} {day}", name, random.choice(_HOLIDAYS), f"{year // 10 * 10}s",
                f"{day:02}-{name[:3]}-{year}", f"{year}/{month:02}/{day:02}", f"{year}{month:02}{day:02}T{random.randint(100000, 235959)}Z",
            ]
        )  # fmt: skip

    def time(self) -> str:
        hour, minute = self._random.randint(1, 12), self._random.choice([0, 15, 30, 45, 20, 55])
        return self._random.choice(
            [
                f"{hour}:{minute:02}",
                f"{hour} am",
                f"{hour}pm",
                f"{hour}:{minute:02} p.m.",
                self._clock(),
                "noon",
            ]
        )

    def age(self) -> str:
        number = self._random.randint(1, 99)
        if self._random.random() < 0.85:
            return str(number)
        tens = _NUMBERS[self._random.randrange(len(_NUMBERS))]
        return self._random.choice(
            [tens, f"{tens}-{self._random.choice(_UNITS)}", self._random.choice(_UNITS)]
        )

    def username(self) -> str:
        person = self.people.person()
        first, last = _plain(person.first), _plain(person.last)
        number = self._random.choice(
            ["", str(self._random.randint(1, 99)), str(self._random.randint(1950, 2010))]
        )
        name = self._random.choice(
            [f"{first}{last}", f"{first}.{last}", f"{first[:1]}{last}", f"{first}_{last}", f"{first}{number}", f"{last}{first[:1]}",
             f"{self._random.choice(COMPANY_WORDS).lower()}{first}", f"x{first}x", f"the_real_{first}"]
        )  # fmt: skip
        return self._random.choice(["", "@", "@"]) + name + self._random.choice(["", number])

    def email(self) -> str:
        person = self.people.person()
        first, last = _plain(person.first) or "info", _plain(person.last) or "mail"
        name = self._random.choice(
            [f"{first}.{last}", f"{first}{last}", f"{first[0]}{last}", first, f"{last}.{first}"]
        )
        return f"{name}@{self._faker.free_email_domain() if self._random.random() < 0.5 else self._faker.domain_name()}"

    def person(self) -> Person:
        return self.people.person()

    def _cased(self, words: str) -> str:
        return words.lower() if self._random.random() < 0.25 and not words.isupper() else words

    def _clock(self) -> str:
        return f"{self._random.randint(0, 23):02}:{self._random.randint(0, 59):02}:{self._random.randint(0, 59):02}"

    def _id(self) -> str:
        letters = "".join(self._random.choices(string.ascii_uppercase, k=self._random.randint(0, 3)))
        return letters + self._random.choice(["", "-"]) + str(self._random.randint(100, 99999999))


@cache
def _companies(locale: str) -> list[str]:
    """The same ones whenever they are asked for."""
    faker = Faker(locale)
    faker.seed_instance(crc32(locale.encode()))
    return [str(faker.company()) for _ in range(150)]


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char in string.ascii_lowercase)


def _ordinal(day: int) -> str:
    return {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd"}.get(day, "th")
