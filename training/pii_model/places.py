"""Places as they are written: cities, countries, streets, and postal addresses in the forms of some thirty countries."""

from dataclasses import dataclass
from functools import cache
from random import Random
from zlib import crc32

from faker import Faker

from training.pii_model.wordlists import CITIES, COUNTRIES, REGIONS

_LOCALES = """en_US en_US en_US en_GB en_IE en_IN en_NZ en_AU en_CA de_DE de_AT de_CH fr_FR fr_CH es_ES es_MX es_AR es_CO it_IT
pt_PT pt_BR nl_NL nl_BE sv_SE no_NO da_DK fi_FI pl_PL cs_CZ sk_SK hu_HU ro_RO hr_HR sl_SI et_EE lt_LT lv_LV tr_TR id_ID
fil_PH""".split()
_NUMBER_BEHIND = set(
    "de_DE de_AT de_CH es_ES it_IT nl_NL nl_BE sv_SE no_NO da_DK fi_FI pl_PL cs_CZ sk_SK hu_HU hr_HR sl_SI".split()
)
_UNITS = (
    "Apt. {n}",
    "Apt {n}",
    "apt. {n}",
    "Suite {n}",
    "Ste {n}",
    "Unit {n}",
    "#{n}",
    "Flat {n}",
    "Floor {n}",
    "Box {n}",
    "2. OG",
    "bus {n}",
)
_PER_LOCALE = 60


class Places:
    """Makes up places. What comes out follows from `random` alone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._by_locale = {locale: _pool(locale) for locale in _LOCALES}

    def city(self) -> str:
        """A city's name; at times, as in lists and on letters, in capitals."""
        kind = self._random.random()
        city = self._random.choice(CITIES) if kind < 0.5 else self._random.choice(self._any_pool().cities)
        return city.upper() if kind > 0.94 else city

    def country(self) -> str:
        return self._random.choice(COUNTRIES)

    def region(self) -> str:
        return self._random.choice(REGIONS)

    def any(self) -> str:
        """A city, a country, or something larger or smaller than those."""
        kind = self._random.random()
        if kind < 0.5:
            return self.city()
        return self.country() if kind < 0.75 else self.region()

    def postcode(self) -> str:
        return self._random.choice(self._any_pool().postcodes)

    def street(self) -> str:
        """A street with or without a number, before or behind it."""
        locale = self._random.choice(_LOCALES)
        return self._street(locale)

    def address(self) -> str:
        """A postal address, whole or in part, on one line or on several."""
        kind = self._random.random()
        locale = self._random.choice(_LOCALES)
        pool = self._by_locale[locale]
        if kind < 0.12:
            return self._broken(self._random.choice(pool.addresses))
        if kind < 0.16:
            return f"the corner of {self._street(locale)} and {self._street(locale)}"
        if kind < 0.20:
            return f"{self._random.choice(['P.O. Box', 'PO Box', 'Postfach', 'Postbox'])} {self._random.randint(1, 9999)}"
        if kind < 0.35:
            return self._street(locale)
        return self._broken(self._put_together(locale))

    def _put_together(self, locale: str) -> str:
        """Parts of an address, a line each, some of them missing; at times of different countries, as made-up data has."""
        pool, random = self._by_locale[locale], self._random
        if random.random() < 0.4:
            pool = self._any_pool()
        street = self._street(locale)
        if random.random() < 0.15:
            street = f"{random.randint(1, 99999)} {street}"
        lines = [street]
        if random.random() < 0.45:
            lines.append(
                random.choice(_UNITS).format(n=random.choice([random.randint(1, 999), "04B", "7c", "021"]))
            )
        city = random.choice(pool.cities) if random.random() < 0.7 else random.choice(CITIES)
        if random.random() < 0.2:
            city = city.upper()
        postcode = random.choice(pool.postcodes)
        state = random.choice(
            ["CA", "NY", "TX", "QC", "ON", "NSW", "VIC", "WA", "CO", "FL", "Uttar Pradesh", "Bayern", "Kent"]
        )
        lines.append(
            random.choice(
                [
                    f"{postcode} {city}",
                    f"{city} {postcode}",
                    f"{city}, {state} {postcode}",
                    f"{city}, {state}",
                    city,
                    f"{city} ({state}) {postcode}",
                ]
            )
        )
        if random.random() < 0.4:
            country = random.choice(COUNTRIES)
            lines.append(f"{country} {postcode}" if random.random() < 0.25 else country)
        return "\n".join(lines)

    def _street(self, locale: str) -> str:
        pool, random = self._by_locale[locale], self._random
        if random.random() < 0.5:
            return random.choice(pool.street_addresses).replace("\n", " ")
        name = random.choice(pool.street_names)
        number = random.choice(
            [
                str(random.randint(1, 199)),
                str(random.randint(1, 9999)),
                f"{random.randint(1, 99)}{random.choice('abcAB')}",
            ]
        )
        if random.random() < 0.15:
            return name
        behind = locale in _NUMBER_BEHIND
        return f"{name} {number}" if behind else f"{number} {name}"

    def _broken(self, address: str) -> str:
        """On lines as it is, with an indent, or on one line with commas."""
        ways = ["\n", "\n", "\n ", ", ", ", ", " ", ",\n"]
        return self._random.choice(ways).join(
            line.strip(" ,") for line in address.splitlines() if line.strip(" ,")
        )

    def _any_pool(self) -> "_Pool":
        return self._by_locale[self._random.choice(_LOCALES)]


@dataclass(frozen=True, slots=True)
class _Pool:
    """One locale's cities, streets and postcodes."""

    cities: list[str]
    street_names: list[str]
    street_addresses: list[str]
    postcodes: list[str]
    addresses: list[str]


@cache
def _pool(locale: str) -> _Pool:
    """The same ones whenever they are asked for."""
    faker = Faker(locale)
    faker.seed_instance(crc32(locale.encode()))
    makers = (faker.city, faker.street_name, faker.street_address, faker.postcode, faker.address)
    return _Pool(*([str(make()) for _ in range(_PER_LOCALE)] for make in makers))
