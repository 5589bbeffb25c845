"""Personal data with a format: what is found, and what only looks like it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.privacy.detect import Detector
from core.privacy.types import Policy


def found(text: str, entity: str) -> list[str]:
    findings = Detector(Policy(frozenset({entity}))).detect([text])[0]
    return [text[finding.start : finding.end] for finding in findings]


GOOD = {
    "CREDIT_CARD": [
        "4012888888881881",
        "4012 8888 8888 1881",
        "5555-5555-5555-4444",
        "378282246310005",  # American Express
        "2223003122003222",  # Mastercard's 2-series
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "6304000000000000",  # Maestro
        "６０１１１１１１１１１１１１１７",  # full width
    ],
    "IBAN_CODE": [
        "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000",
        "de89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "FR1420041010050500013M02606",
        "NL91ABNA0417164300",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "US_SSN": ["460-89-9847", "514 69 0987"],
    "PHONE_NUMBER": [
        "+44 7700 900123",  # reserved for films
        "+44 20 7946 0018",
        "(020) 7946 0018",
        "+49 (0)30 901820",
        "030/901820",
        "+33 6 12 34 56 78",
        "06 12 34 56 78",
        "(415) 555-2671",
        "415.555.2671",
        "1-415-555-2671",
        "+1 604 555 0142",
        "+34 612 345 678",
        "+91 98765 43210",
        "98765 43210",
        "+972 50-234-5678",
        "+55 11 96123-4567",
        "(11) 96123-4567",
        "+81 3-1234-5678",
        "+61 2 9876 5432",
        "＋４４　２０　７９４６　００１８",
    ],
    "EMAIL_ADDRESS": [
        "ada@example.com",
        "ADA.Lovelace+news@mail.example.co.uk",
        "ada@mail.internal",
        "jürgen@müller.de",
        "o'brien@example.ie",
        "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    ],
    "IP_ADDRESS": ["203.0.113.7", "10.0.0.1", "2001:db8::1", "fe80::1ff:fe23:4567:890a", "::ffff:192.0.2.1"],
    "MAC_ADDRESS": ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e", "001A.2B3C.4D5E"],
    "CRYPTO": [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    ],
    "URL": ["https://example.com/u/ada", "www.example.org", "example.co.uk/path?x=1"],
    "DATE_TIME": ["2024-11-05", "12/10/1984"],
}

BAD = {
    "CREDIT_CARD": [
        "4012 8888 8888 1882",  # the check digit is wrong
        "1234 5678 9012 3456",
        "order 60240611223344556677",
        "0000000000000000",
        "+44 20 7946 0018",
    ],
    "IBAN_CODE": [
        "DE89 3704 0044 0532 0130 01",
        "DE89 3704 0044 0532 0130",
        "XX89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926818",
        "AB12 CD34 EF56 GH78",
    ],
    "US_SSN": ["000-12-3456", "666-12-3456", "460-00-9847", "123-456-789", "order 460899847"],
    "PHONE_NUMBER": [
        "order 1234567890",
        "My order number is 5551234567",
        "invoice 415-555-2671",
        "ticket 12345-67890",
        "20240-11052",
        "order 594535-5884",
        "ISBN 978-3-16-148410-0",
        "2024-11-05",
        "05.11.2024",
        "12/10/2023 at 12:30",
        "2024-11-05T10:11:12Z",
        "2024-01-02 10:11:12",
        "version 10.4.2.1",
        "firmware 2.11.0.145",
        "1.234.567.890",
        "1,234,567,890",
        "4155552671",
        "1999-2003",
        "460-89-9847",
        "4012 8888 8888 1881",
        "200 x 300 x 400",
    ],
    "EMAIL_ADDRESS": ["@ada", "ada@", "ada at example.com", "a@b", "12@34"],
    "IP_ADDRESS": ["999.1.1.1", "1.2.3", "10:30", "12:30:45", "std::vector", "256.256.256.256"],
    "MAC_ADDRESS": ["00:1A:2B:3C:4D", "00:1A:2B:3C:4D:5G", "12:30:45", "00-00-00-00-00-00-00"],
    "CRYPTO": [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp",
        "3141592653589793238462643383279502",
    ],
    "URL": ["version 1.2.3", "a.b"],
}


def cases(table):
    return [(entity, value) for entity, values in table.items() for value in values]


@pytest.mark.parametrize(("entity", "value"), cases(GOOD))
@pytest.mark.parametrize("sentence", ["{}", "Take {}.", "It is ({}), I think", "😀 „{}“", "a\n{}\nb"])
def test_it_is_found_from_its_first_character_to_its_last(entity, value, sentence):
    assert found(sentence.format(value), entity) == [value]


@pytest.mark.parametrize(("entity", "value"), cases(BAD))
@pytest.mark.parametrize("sentence", ["{}", "We got {} back."])
def test_what_only_looks_like_it_is_not_found(entity, value, sentence):
    assert found(sentence.format(value), entity) == []


@pytest.mark.parametrize(
    ("entity", "text", "value"),
    [
        ("PHONE_NUMBER", "please call 4155552671", "4155552671"),
        ("PHONE_NUMBER", "Telefon: 901820 45", "901820 45"),
        ("PHONE_NUMBER", "our hotline, 594535-5884", "594535-5884"),
        ("US_SSN", "her social security number is 460899847", "460899847"),
    ],
)
def test_the_words_around_a_number_make_it_what_it_is(entity, text, value):
    assert found(text, entity) == [value]


@pytest.mark.parametrize("entity", ["CREDIT_CARD", "PHONE_NUMBER", "IBAN_CODE"])
def test_one_of_several_is_found_by_itself(entity):
    one, other = GOOD[entity][:2]
    assert found(f"{one}, {other}", entity) == [one, other]


def with_check_digit(digits: str) -> str:
    """`digits` and the one that makes Luhn's sum a multiple of ten."""
    doubled = [2 * int(digit) for digit in reversed(digits)][::2]
    single = [int(digit) for digit in reversed(digits)][1::2]
    total = sum(value - 9 * (value > 9) for value in doubled) + sum(single)
    return digits + str(-total % 10)


card_numbers = st.builds(
    "{}{}".format, st.sampled_from(["4", "51", "2223"]), st.text("0123456789", min_size=20)
)
cards = card_numbers.map(lambda digits: with_check_digit(digits[:15]))


@settings(max_examples=50)
@given(cards, st.integers(0, 15), st.integers(1, 9))
def test_cards_are_told_by_their_check_digit(card, position, offset):
    assert found(f"Card {card} please", "CREDIT_CARD") == [card]

    wrong_digit = str((int(card[position]) + offset) % 10)
    wrong = card[:position] + wrong_digit + card[position + 1 :]
    assert found(f"Card {wrong} please", "CREDIT_CARD") == []


@st.composite
def german_ibans(draw):
    account = draw(st.text("0123456789", min_size=18, max_size=18))
    # ISO 13616: the country and 00 behind the account, letters as numbers from 10 on, modulo 97.
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02}{account}"


@settings(max_examples=50)
@given(german_ibans(), st.integers(4, 21), st.integers(1, 9))
def test_ibans_are_told_by_their_check_digits(iban, position, offset):
    assert found(f"Pay to {iban}, thanks", "IBAN_CODE") == [iban]
    spaced = " ".join(iban[first : first + 4] for first in range(0, len(iban), 4))
    assert found(f"Pay to {spaced} and say thanks", "IBAN_CODE") == [spaced]

    wrong = iban[:position] + str((int(iban[position]) + offset) % 10) + iban[position + 1 :]
    assert found(f"Pay to {wrong}, thanks", "IBAN_CODE") == []
