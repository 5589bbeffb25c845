"""Addresses, ages, titles, user names, dates and authorities' numbers: what is found by its form, and what is not."""

import pytest

from core.privacy import engines
from core.privacy.types import Finding


def found(text: str, entity: str) -> list[Finding]:
    return engines.patterns().find(text, frozenset({entity}))


def covered(text: str, entity: str) -> str:
    """The letters and digits of `text` that findings cover."""
    positions = {position for one in found(text, entity) for position in range(one.start, one.end)}
    return "".join(char for position, char in enumerate(text) if position in positions and char.isalnum())


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


ADDRESSES = [
    "1600 Pennsylvania Avenue",
    "221B Baker Street",
    "350 5th Ave",
    "742 Evergreen Terrace, Springfield, IL 62704",
    "12 Rue de la Paix, 75002 Paris",
    "Calle de Alcalá 42, 28014 Madrid",
    "Via Roma 12, 00184 Roma, Italia",
    "Avenida Paulista 1578",
    "Lindenstraße 12, 10969 Berlin",
    "Schillerplatz 3\n01309 Dresden\nDeutschland",
    "Prinsengracht 263, 1016 GV Amsterdam",
    "Drottninggatan 53",
    "Rákóczi út 42",
    "ul. Marszałkowska 84",
    "Λεωφόρος Συγγρού 119",
    "P.O. Box 1234",
    "Postfach 1020",
    "Unit 8524 Box 0979\nDPO AA 56703",
    "4 Elm Court, Apt. 12",
    "10 Downing Street, London SW1A 2AA, United Kingdom",
    "12 harbour lane",
    "Suite 829",
    "M5V 3L9",
    "the corner of 5 Mill Lane and Church Row",
]
NO_ADDRESSES = [
    "Chapter 5 of the book",
    "We met 30 People in 2019",
    "Windows 11 is out",
    "12 August 1987",
    "5 minutes down the road",
    "He scored 20 points in 12 games",
    "in 2019 Berlin 3 grew",
    "order 10 boxes of paper",
    "2 tickets, please",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("sentence", ["{}", "She lives at {}.", "Send it to\n{}\nplease"])
def test_an_address_is_covered_to_its_last_letter(address, sentence):
    assert letters(address) in covered(sentence.format(address), "LOCATION")


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_numbers_beside_words_are_no_address(text):
    assert covered(text, "LOCATION") == ""


def test_an_address_reaches_no_further_than_the_country():
    text = "Anna Berg\n12 Elm Street\n Apt. 4\n Springfield\n Canada 12345\n\nPhone: see below. Thanks"
    assert covered(text, "LOCATION") == letters("12 Elm Street Apt. 4 Springfield Canada 12345")


@pytest.mark.parametrize(
    ("entity", "text", "values"),
    [
        ("AGE", "She is 42 years old", ["42"]),
        ("AGE", "a 7-year-old boy", ["7"]),
        ("AGE", "aged 42", ["42"]),
        ("AGE", "turning thirty-two", ["thirty-two"]),
        ("AGE", "42 y/o", ["42"]),
        ("AGE", "I'm 42.", ["42"]),
        ("AGE", "in her late forties", ["forties"]),
        ("AGE", "Er ist 42 Jahre alt", ["42"]),
        ("AGE", "j'ai 42 ans", ["42"]),
        ("AGE", "tiene 42 años", ["42"]),
        ("AGE", "I'm 100% sure, I'm 3 minutes late, turned 90 degrees, page: 12, aged cheese, 5 years", []),
        ("TITLE", "Mr. Ito, Dr. Okafor, Frau Prof. Dr. Kunz", ["Mr.", "Dr.", "Frau Prof. Dr."]),
        ("TITLE", "mrs jones", ["mrs"]),
        ("TITLE", "12 Elm Dr. is a drive; the general public", []),
        ("USERNAME", "ask @ada_lovelace or user name: charles.b99", ["@ada_lovelace", "charles.b99"]),
        ("USERNAME", "ada@example.com, @ noon, @angular/core", []),
        (
            "NATIONALITY",
            "a Portuguese nurse, three Germans, french wine",
            ["Portuguese", "Germans", "french"],
        ),
        ("NATIONALITY", "polish the table", []),
        ("LOCATION", "from germany to New Zealand", ["germany", "New Zealand"]),
        ("LOCATION", "roast turkey on fine china", []),
        ("DATE_TIME", "12 October 1984", ["12 October 1984"]),
        ("DATE_TIME", "October 12th, 1984 at 10:30 pm", ["October 12th, 1984 at 10:30 pm"]),
        ("DATE_TIME", "le 3 mars 2021, am 5. Mai 1999", ["3 mars 2021", "5. Mai 1999"]),
        ("DATE_TIME", "2015-12-22 04:34:22", ["2015-12-22 04:34:22"]),
        ("DATE_TIME", "founded in 1977", ["1977"]),
        ("DATE_TIME", "I may march on; 2000 people; version 1.2.2003.4", []),
        ("PHONE_NUMBER", "Phone: 451 5986", ["451 5986"]),
        ("PHONE_NUMBER", "Fax: 463-612-6138x036", ["463-612-6138x036"]),
        ("PHONE_NUMBER", "nobody is answering at 99 668472", ["99 668472"]),
    ],
)
def test_what_is_said_of_people(entity, text, values):
    assert sorted({text[one.start : one.end] for one in found(text, entity)}) == sorted(values)


IDENTITY_NUMBERS = [
    "RSSMRA85T10A562S",  # Italy
    "12345678Z",  # Spain
    "X1234567L",  # Spain, of foreigners
    "AB123456C",  # United Kingdom
    "131052-308T",  # Finland
    "1 85 05 78 006 084 91",  # France
    "529.982.247-25",  # Brazil
    "11010519491231002X",  # China
    "756.9217.0769.85",  # Switzerland
    "65170839J003",  # Germany, of pension insurance
]
IN_CONTEXT = [
    ("NHS number {}", "943 476 5919"),
    ("Steuer-ID: {}", "86095742719"),
    ("my aadhaar is {}", "2345 6789 0124"),
    ("PESEL {}", "44051401359"),
    ("BSN {}", "111222333"),
    ("social insurance number {}", "130 692 544"),
]


@pytest.mark.parametrize("number", IDENTITY_NUMBERS)
def test_an_identity_number_with_its_check_digits_right_is_found_and_with_a_wrong_one_not(number):
    assert covered(f"It is {number}.", "NATIONAL_ID") == letters(number)


@pytest.mark.parametrize(("sentence", "number"), IN_CONTEXT)
def test_a_number_of_digits_only_is_an_identity_number_where_words_say_so(sentence, number):
    assert covered(sentence.format(number), "NATIONAL_ID") == letters(number)
    assert covered(f"order {number}", "NATIONAL_ID") == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Passport no. C01X00T47", "C01X00T47"),
        ("my driver's license number is F162-8235-4011", "F162-8235-4011"),
        ("Reisepass: C4F5X2P1K and more", "C4F5X2P1K"),
        ("Führerschein Nr. B072RRE2I55", "B072RRE2I55"),
        ("passeport n° 12AB34567", "12AB34567"),
        ("the passport office opens at 9", ""),
        ("passport photos cost 5 euros", ""),
    ],
)
def test_what_stands_behind_the_name_of_a_document_is_its_number(text, number):
    assert covered(text, "ID_DOCUMENT") == letters(number)
