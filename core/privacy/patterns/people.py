"""What is said of people in few forms: how old they are, how they are addressed, what they call themselves on-line."""

import re
from collections.abc import Iterator

from core.privacy.types import Finding

_SCORE = 0.7
_CERTAIN = 0.99  # nothing else begins with an @

_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_SPELLED = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS + _ONES)})"
_YEARS = r"(?:1[01]\d|[1-9]?\d)"
_DECADES = "|".join(ten[:-1] + "ies" for ten in _TENS)
_AGE = rf"(?P<age>{_YEARS}|{_SPELLED})"
_ABOUT_SOMEBODY = (
    r"(?:i['’]?m|i am|he['’]s|she['’]s|you are|they are|when i was|"
    r"(?:he|she|who|mother|father|son|daughter|wife|husband|brother|sister) (?:is|was))"
    r"(?: (?:now|just|only|already|almost|nearly|about))?"
)
_NOTHING_COUNTED = r"(?=\s*[.,;!?)]\s|\s*[.,;!?)]?$| (?:and|but|now|years|when|today|this|next)\b)"
_AGES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        # 42 years old, 42-year-old, 18 months of age
        rf"\b{_AGE}[- ]?(?:years?|yrs?|months?|weeks?)[- ]?(?:and a half )?(?:old|of age)\b",
        # 42 y/o, 42yo
        rf"\b{_AGE}[- ]?(?:y/o\b|y\.o\.|yo\b)",
        # aged 42, at the age of 42, and forms with "age" before a colon
        rf"\b(?:aged?|alter|âge|edad|età|idade|leeftijd)(?: ?[:=] ?| of | is | ){_AGE}\b(?![:/]\d|[.,]\d|%)",
        # turned 42, turning thirty
        rf"\bturn(?:s|ed|ing)? (?P<age>[1-9]\d|{_SPELLED})\b(?![.,]?\d|%| (?:per|degrees|times|pages|points|right|left))",
        # she was 42 and, when I was 42.
        rf"\b{_ABOUT_SOMEBODY} (?P<age>[1-9]\d|{_SPELLED}){_NOTHING_COUNTED}",
        # in her late forties, in his 50s
        rf"\bin (?:his|her|my|their|your) (?:early |mid[- ]?|late )?(?P<age>[2-9]0s|{_DECADES})\b",
        # German, Dutch, Swedish, Norwegian, Polish and Finnish
        rf"\b(?P<age>{_YEARS})(?: jahre alt\b|[- ]?jährig| jaar oud\b| år gamm?[ae]l\b| lat\b(?=[.,;]|$)|-vuotias)",
        # French, Spanish, Italian and Portuguese
        rf"\b(?:j['’]ai|a|âgée? de|tengo|tiene|de|ho|ha|di|tenho|tem) (?P<age>{_YEARS}) (?:ans|años|anni|anos)\b",
    )
)

# What is an address to somebody even by itself, and what only before a name: "Dr." is a drive as well.
_ALONE = r"(?:Mr|Mrs|Ms|Mx|Prof)\.|Mr|Mrs|Mx|Monsieur|Madame|Mademoiselle|Señora?|Señorita|Signora?|Senhora?|Prof\. ?Dr\."
_BEFORE_A_NAME = (
    r"(?:Dr|Rev|Hon|Capt|Lt|Col|Gen|Sgt|Maj|Cpl|Cmdr|Adm|Fr|Sr|Sra|Srta|Dra|Hr|Dhr|Mevr|Mme|Mlle|M|Sig|Dott|Ing|Mag|"
    r"Dipl|Gov|Sen|Rep|Pres|Insp|Supt|St)\.|Ms|Miss|Dr|Sir|Dame|Lady|Lord|Prof|Professor|Doctor|Herrn?|Frau|Fräulein|Don|Doña|Mme|Mlle|"
    r"Reverend|Father|Sister|Captain|Colonel|Sergeant|Lieutenant|Judge|Senator|Pani?|Pán|Mevrouw|Meneer"
)
_TITLE = re.compile(
    rf"(?<![\w.])(?:(?:{_ALONE})(?!\w)|(?:{_BEFORE_A_NAME})(?=\s(?:[^\W\d_a-z]|(?:von|van|de|da|del|di|al)\s)))"
    r"(?:\s(?:Dr|Prof)\.)*"
)
# "mr smith", "DR. JONES": in texts that do not follow the rules of capitals.
_ANY_CASE_TITLE = re.compile(r"(?<![\w.])(?:mr|mrs|mister|MR|MRS|MS|MISS|DR|PROF)\b\.?(?=\s[^\W\d_])")

_HANDLE = re.compile(r"(?<![\w@/.+-])@[A-Za-z_](?:[\w]|\.(?=\w)){1,29}(?![\w@/]|\.\w)")
_NAMED_HANDLE = re.compile(
    r"\b(?:user ?name|user ?id|login(?: name)?|screen ?name|nick ?name|nickname|gamertag|handle|benutzername|nutzername|"
    r"nom d['’]utilisateur|identifiant|usuario|nome utente|gebruikersnaam)"
    r"(?: (?:is|was|ist|est|es)|\s?[:=])\s{0,3}['\"“`]?(?P<name>@?(?=[\w.-]{0,30}[\d_.-]|[a-z]{3,30}\b)[\w][\w.-]{2,30}\w)",
    re.IGNORECASE,
)


def find_ages(text: str) -> Iterator[Finding]:
    """How old somebody is: the number, in digits or words."""
    for pattern in _AGES:
        for match in pattern.finditer(text):
            yield Finding(*match.span("age"), "AGE", _SCORE)


def find_titles(text: str) -> Iterator[Finding]:
    """Mr., Dr., Frau and others of ten languages."""
    for pattern in (_TITLE, _ANY_CASE_TITLE):
        for match in pattern.finditer(text):
            yield Finding(*match.span(), "TITLE", _SCORE)


def find_usernames(text: str) -> Iterator[Finding]:
    """Handles, and what is said to be a user name."""
    for match in _HANDLE.finditer(text):
        yield Finding(*match.span(), "USERNAME", _CERTAIN)
    for match in _NAMED_HANDLE.finditer(text):
        yield Finding(*match.span("name"), "USERNAME", _SCORE)
