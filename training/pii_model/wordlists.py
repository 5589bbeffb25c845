"""Word lists that values are drawn from beside Faker's, a file each in words/: places, peoples, occupations, what makes up
names of organisations, names that are words as well, and names romanised from scripts for which Faker has no Latin
spelling."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "words"


def _read(name: str) -> list[str]:
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


BRANDS = _read("brands")
CAPITALISED = _read("capitalised")
CITIES = _read("cities")
COMPANY_ENDINGS = _read("company_endings")
COMPANY_WORDS = _read("company_words")
COUNTRIES = _read("countries")
HONORIFICS = _read("honorifics")
INSTITUTIONS = _read("institutions")
NATIONALITIES = _read("nationalities")
NICKNAMES = _read("nicknames")
OCCUPATIONS = _read("occupations")
PEOPLES = _read("peoples")
PRODUCTS = _read("products")
REGIONS = _read("regions")
ROMANISED_FIRST = _read("romanised_first")
ROMANISED_LAST = _read("romanised_last")
WORD_LAST_NAMES = _read("word_last_names")
WORD_NAMES = _read("word_names")
