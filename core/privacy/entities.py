"""The kinds of personal data that Adaptary knows, and the policy that a tenant starts with."""

from dataclasses import dataclass

from core.privacy.types import Policy

CUSTOM = "CUSTOM"


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of personal data, as the policy page shows it."""

    name: str
    title: str
    description: str
    example: str
    by_default: bool = True


ENTITIES = (
    Entity("PERSON", "Names of people", "Found by a language model; English works best.", "Amélie Rousseau"),
    Entity(
        "LOCATION",
        "Places and addresses",
        "Cities, countries and landmarks, found by a language model; postal addresses by their form as well.",
        "Leipzig",
    ),
    Entity(
        "USERNAME",
        "User names",
        "Handles that begin with an @, and what is said to be a user name.",
        "@ada_lovelace",
    ),
    Entity("EMAIL_ADDRESS", "E-mail addresses", "Any address with an @ and a domain.", "ada@example.com"),
    Entity(
        "PHONE_NUMBER",
        "Phone numbers",
        "International numbers and national ones of eight countries; other numbers where the words around "
        "them speak of a phone.",
        "+44 7700 900123",
    ),
    Entity("CREDIT_CARD", "Card numbers", "Payment cards whose check digit is right.", "4012 8888 8888 1881"),
    Entity(
        "IBAN_CODE",
        "Bank accounts (IBAN)",
        "IBANs of the right length for their country whose check digits are right.",
        "DE89 3704 0044 0532 0130 00",
    ),
    Entity(
        "US_SSN",
        "US social security numbers",
        "Written with separators, or nine digits where the words around them speak of social security.",
        "460-89-9847",
    ),
    Entity(
        "NATIONAL_ID",
        "National identity and tax numbers",
        "Numbers of 22 countries, by their check digits or where the words around them speak of one.",
        "RSSMRA85T10A562S",
    ),
    Entity(
        "ID_DOCUMENT",
        "Passports and driving licences",
        "Numbers behind the words passport, driving licence or identity card, in nine languages.",
        "Passport no. C01X00T47",
    ),
    Entity("IP_ADDRESS", "IP addresses", "IPv4 and IPv6.", "203.0.113.7"),
    Entity("MAC_ADDRESS", "MAC addresses", "Addresses of network cards.", "00:1A:2B:3C:4D:5E"),
    Entity(
        "CRYPTO",
        "Bitcoin addresses",
        "Addresses whose checksum is right.",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    ),
    Entity(
        "ORGANIZATION",
        "Names of organisations",
        "Found by a language model, which takes many product names and abbreviations for organisations.",
        "Halden & Rowe Ltd.",
        by_default=False,
    ),
    Entity("AGE", "Ages", "How old somebody is.", "42 years old", by_default=False),
    Entity(
        "TITLE",
        "Titles and occupations",
        "Mr., Dr., Frau; what somebody is by profession, where a name stands beside it.",
        "Prof. Dr.",
        by_default=False,
    ),
    Entity(
        "NATIONALITY",
        "Nationalities and religions",
        "Also of things: “a Spanish wine”.",
        "Portuguese",
        by_default=False,
    ),
    Entity(
        "DATE_TIME",
        "Dates and times",
        "Dates of birth, but also every “yesterday”.",
        "12 October 1984",
        by_default=False,
    ),
    Entity("URL", "Web addresses", "Links and domain names.", "https://example.com/u/ada", by_default=False),
    Entity(
        CUSTOM,
        "Your own values",
        "What is on the policy's list of values that are always replaced.",
        "Project Halden",
        by_default=False,
    ),
)

ENTITY_NAMES = frozenset(entity.name for entity in ENTITIES)

CHOOSABLE = tuple(entity for entity in ENTITIES if entity.name != CUSTOM)
"""What a policy may name: values of one's own are looked for where there are any."""

DEFAULT_POLICY = Policy(entities=frozenset(entity.name for entity in ENTITIES if entity.by_default))
"""docs/privacy.md says why the others are off: they cost accuracy and identify few people."""
