"""Made-up texts: the templates beside this module, filled with made-up values."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

from training.pii_model.examples import AnnotatedText, Span, TextBuilder
from training.pii_model.people import Person
from training.pii_model.values import Values

_TEMPLATES = Path(__file__).parent / "templates"
_SLOT = re.compile(r"\{([a-z_]+)(?:\.(\d)|=([^}]+))?\}")
_PERSON_SLOTS = frozenset({"full", "first", "last"})
_KINDS = {
    **dict.fromkeys(_PERSON_SLOTS, "PERSON"),
    **dict.fromkeys(("city", "country", "region", "place", "street", "address", "postcode"), "LOCATION"),
    "org": "ORGANIZATION",
    **dict.fromkeys(("date", "year", "weekday", "time"), "DATE_TIME"),
    "age": "AGE",
    **dict.fromkeys(("honorific", "occupation"), "TITLE"),
    **dict.fromkeys(("nationality", "people"), "NATIONALITY"),
    "username": "USERNAME",
}
# One template in seven is never trained on.
_HELD_OUT = 7


def generated(count: int, seed: int, *, held_out: bool = False) -> list[AnnotatedText]:
    """`count` texts, which follow from `seed`; of the templates that are held out, or of the others."""
    random = Random(seed)
    values = Values(random)
    templates = [
        template for number, template in enumerate(_templates()) if (number % _HELD_OUT == 0) == held_out
    ]
    return [recased(_document(templates, values, random), random) for _ in range(count)]


def fill(template: str, values: Values) -> AnnotatedText:
    """One text of `template`.

    {slot} stands for a value, {slot=value} for this one; slots with one number, {full.1} and {first.1}, for one person.
    """
    builder = TextBuilder()
    people: dict[str, Person] = {}
    position = 0
    for match in _SLOT.finditer(template):
        builder.add(template[position : match.start()])
        slot, number, given = match.groups()
        if given:
            value = given
        elif slot in _PERSON_SLOTS:
            person = people.setdefault(number, values.person()) if number else values.person()
            value = _written(person, slot, values)
        else:
            value = values.make(slot)
        builder.add(value, _KINDS.get(slot))
        position = match.end()
    builder.add(template[position:])
    return builder.build()


def _written(person: Person, slot: str, values: Values) -> str:
    if slot == "full":
        return values.people.full(person)
    return person.first if slot == "first" else person.last


def joined(texts: Sequence[AnnotatedText], separator: str) -> AnnotatedText:
    """`texts` as one."""
    spans: list[Span] = []
    offset = 0
    for text in texts:
        spans += [Span(span.start + offset, span.end + offset, span.kind) for span in text.spans]
        offset += len(text.text) + len(separator)
    kinds = frozenset.intersection(*(text.kinds for text in texts))
    return AnnotatedText(separator.join(text.text for text in texts), tuple(spans), kinds)


def recased(text: AnnotatedText, random: Random) -> AnnotatedText:
    """`text` as it is, or as hurried people and old machines write it: in small letters, in capitals, in Title Case."""
    kind = random.random()
    if kind < 0.10:
        changed = text.text.lower()
    elif kind < 0.13:
        changed = text.text.upper()
    elif kind < 0.15:
        changed = text.text.title()
    else:
        return text
    # A few letters are several in the other case; spans would no longer fit.
    return AnnotatedText(changed, text.spans, text.kinds) if len(changed) == len(text.text) else text


@cache
def _templates() -> tuple[str, ...]:
    return tuple(line for path in sorted(_TEMPLATES.glob("*.txt")) for line in _lines(path))


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield line.replace("\\n", "\n")


def _document(templates: Sequence[str], values: Values, random: Random) -> AnnotatedText:
    """One template's text, or a few, as sentences that follow one another."""
    count = random.choices([1, 2, 3, 4], [60, 22, 12, 6])[0]
    texts = [fill(random.choice(templates), values) for _ in range(count)]
    return joined(texts, random.choice([" ", " ", " ", "\n", "\n\n"]))
