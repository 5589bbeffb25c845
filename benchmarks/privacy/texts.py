"""The texts that are measured: none of them has trained or tuned anything."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from faker import Faker

from training.pii_model.corpora import SYNTHETIC, conll
from training.pii_model.examples import AnnotatedText, Span
from training.pii_model.generate import generated
from training.pii_model.split import held_out

SHARED = Path(__file__).parents[3] / "shared"
_SEED = 20_261_127
_GENERATED = 600
_OF_EACH_FORMAT = 100


def measured_texts(shared: Path = SHARED) -> tuple[Sequence[AnnotatedText], str]:
    """The held-out templates of presidio-research's set, or where that is not there our own; and what they are."""
    path = shared / SYNTHETIC
    if not path.is_file():
        texts = generated(_GENERATED, _SEED, held_out=True)
        return texts, f"{len(texts)} texts of our own held-out templates, as there is no {path}"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [_annotated(row) for row in rows if held_out(row["template"])]
    return texts, f"the {len(texts)} texts of presidio-research's held-out templates"


def _annotated(row: dict[str, object]) -> AnnotatedText:
    spans = row["spans"]
    assert isinstance(spans, list)
    return AnnotatedText(
        str(row["text"]), tuple(Span(one["start"], one["end"], one["type"]) for one in spans)
    )


def unseen(folder: Path | None) -> Sequence[AnnotatedText]:
    """The texts in `folder`'s .conll files with their people marked and nothing else."""
    if folder is None:
        return []
    return [
        AnnotatedText(one.text, tuple(span for span in one.spans if span.kind == "PERSON"))
        for one in conll(folder)
    ]


def formats() -> Sequence[AnnotatedText]:
    """Sentences with one valid value each of the kinds that must always be found."""
    random = Random(_SEED)
    faker = Faker(["en_US", "en_GB", "de_DE", "fr_FR", "it_IT", "nl_NL"], use_weighting=False)
    faker.seed_instance(_SEED)
    makers: dict[str, Callable[[], str]] = {
        "EMAIL_ADDRESS": faker.email,
        "IBAN_CODE": faker.iban,
        "IP_ADDRESS": lambda: faker.ipv4() if random.random() < 0.5 else faker.ipv6(),
        "US_SSN": faker["en_US"].ssn,
        "CREDIT_CARD": faker.credit_card_number,
    }
    return [
        _in_a_sentence(random.choice(_SENTENCES), make(), kind)
        for kind, make in makers.items()
        for _ in range(_OF_EACH_FORMAT)
    ]


_SENTENCES = (
    "{}",
    "It is {}.",
    "Please use {}, not the old one",
    "(see {})",
    "Wert: {}\nDanke",
    "“{}” n'est plus valable",
    "a;{};b",
)


def _in_a_sentence(sentence: str, value: str, kind: str) -> AnnotatedText:
    start = sentence.index("{}")
    return AnnotatedText(sentence.replace("{}", value), (Span(start, start + len(value), kind),))


def of_length(words: int, count: int, texts: Sequence[AnnotatedText]) -> list[str]:
    """`count` texts of so many words each, cut from `texts` that follow one another."""
    every = [word for text in texts for word in text.text.split(" ")]
    return [
        " ".join((every * 2)[start : start + words])
        for start in (number * words % len(every) for number in range(count))
    ]
