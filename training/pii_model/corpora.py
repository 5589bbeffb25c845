"""Texts that others wrote or made up, where their files are there: `shared` holds them beside the working tree."""

import csv
import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from training.pii_model.examples import AnnotatedText, TextBuilder
from training.pii_model.generate import recased
from training.pii_model.split import held_out
from training.pii_model.values import Values

SYNTHETIC = Path("pii") / "presidio_synth_v2.jsonl"
_SYNTHETIC_KINDS = {
    "PERSON": "PERSON",
    "STREET_ADDRESS": "LOCATION",
    "GPE": "LOCATION",
    "ZIP_CODE": "LOCATION",
    "ORGANIZATION": "ORGANIZATION",
    "DATE_TIME": "DATE_TIME",
    "TITLE": "TITLE",
    "AGE": "AGE",
    "NRP": "NATIONALITY",
}
_TWEET_KINDS = {
    "person": "PERSON",
    "location": "LOCATION",
    "corporation": "ORGANIZATION",
    "group": "ORGANIZATION",
    "PER": "PERSON",
    "LOC": "LOCATION",
    "ORG": "ORGANIZATION",
}
_NO_PEOPLE = frozenset({"PERSON", "TITLE", "USERNAME", "AGE"})
_MAY_NAME = re.compile(
    r"name|text|call|contact|made_you|boss|phone|location|who|how_old|age|reservation|book|reminder|calendar|meeting"
)
_SPEAKS_OF_PEOPLE = re.compile(
    r"\b(Dr|Mr|Mrs|Ms|Prof|M\.D|PhD|years? old|ages?|aged)\b|described by|named after|director|founder|http",
    re.IGNORECASE,
)
_MARKED = frozenset({"PERSON", "LOCATION", "ORGANIZATION", "USERNAME"})


def synthetic(shared: Path, count: int, seed: int) -> list[AnnotatedText]:
    """`count` texts from the training half of presidio-research's templates, most of their values drawn anew.

    None where the set is not there.
    """
    path = shared / SYNTHETIC
    if not path.exists():
        return []
    by_template: dict[int, list[dict[str, object]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if not held_out(row["template"]):
            by_template[row["template"]].append(row)
    random = Random(seed)
    values = Values(random)
    templates = sorted(by_template)
    return [
        recased(_refilled(random.choice(by_template[random.choice(templates)]), values, random), random)
        for _ in range(count)
    ]


def tweets(shared: Path, names: Sequence[str]) -> list[AnnotatedText]:
    """The tweets of WNUT17's files of these names; none where they are not there."""
    found = []
    for name in names:
        path = shared / "datasets" / f"wnut17_{name}.jsonl.gz"
        if path.exists():
            rows = map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines())
            found += [_tagged(row["tokens"], row["tags"]) for row in rows]
    return found


def plain(shared: Path, count: int, seed: int) -> list[AnnotatedText]:
    """`count` texts without people in them, of which nothing else is known; none where the files are not there.

    Orders to an assistant (CLINC150) but for those that name somebody, and sentences about illnesses (MedQuAD), many of
    which bear the names of their discoverers.
    """
    texts = [
        *_orders(shared / "datasets" / "clinc150_train.csv.gz"),
        *_sentences_of_chats(shared / "datasets" / "medquad_chat4000.jsonl.gz"),
    ]
    chosen = Random(seed).sample(texts, min(count, len(texts)))
    return [AnnotatedText(text, (), _NO_PEOPLE) for text in chosen]


def _orders(path: Path) -> Iterator[str]:
    if path.exists():
        rows = csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines())
        yield from (row["text"] for row in rows if not _MAY_NAME.search(row["label"]))


def _sentences_of_chats(path: Path) -> Iterator[str]:
    if path.exists():
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            for message in json.loads(line)["messages"]:
                for sentence in re.split(r"(?<=[.?!])\s+", message["content"])[:2]:
                    if 20 <= len(sentence) <= 250 and not _SPEAKS_OF_PEOPLE.search(sentence):
                        yield sentence


def conll(folder: Path) -> list[AnnotatedText]:
    """The sentences of all .conll files in `folder`, a word and its tag a line; none where there are none."""
    sentences = (words for path in sorted(folder.glob("*.conll")) for words in _sentences(path))
    return [_tagged([word for word, _ in words], [tag for _, tag in words]) for words in sentences]


def _sentences(path: Path) -> Iterator[list[tuple[str, str]]]:
    words: list[tuple[str, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if len(fields) >= 2:
            words.append((fields[0], fields[-1]))
        elif words:
            yield words
            words = []
    if words:
        yield words


def _tagged(words: Sequence[str], tags: Sequence[str]) -> AnnotatedText:
    """Words with spaces between, but not in front of punctuation, as people write them."""
    builder = TextBuilder()
    kind, pending = None, ""
    for index, (word, tag) in enumerate(zip(words, tags, strict=True)):
        this = "USERNAME" if _is_handle(word) else _TWEET_KINDS.get(tag.partition("-")[2])
        goes_on = kind is not None and this == kind and tag.startswith("I") and not _is_handle(word)
        space = " " if index and not _clings(word) else ""
        if goes_on:
            pending += space + word
            continue
        builder.add(pending, kind)
        builder.add(space)
        kind, pending = this, word
    builder.add(pending, kind)
    return builder.build(_MARKED)


def _is_handle(word: str) -> bool:
    return len(word) > 1 and word[0] == "@"


def _clings(word: str) -> bool:
    return word in {".", ",", "!", "?", ":", ";", "'s", "n't", "'m", "'re", "'ll", "'ve", "'d", ")", "%", "…"}


def _refilled(row: dict[str, object], values: Values, random: Random) -> AnnotatedText:
    text = str(row["text"])
    spans = row["spans"]
    assert isinstance(spans, list)
    builder = TextBuilder()
    position = 0
    for span in sorted(spans, key=lambda one: int(one["start"])):
        builder.add(text[position : span["start"]])
        old = text[span["start"] : span["end"]]
        kind = _SYNTHETIC_KINDS.get(span["type"])
        builder.add(_drawn(span["type"], old, values) if random.random() < 0.8 else old, kind)
        position = span["end"]
    builder.add(text[position:])
    return builder.build()


def _drawn(kind: str, old: str, values: Values) -> str:
    """A value of the same kind and form as `old`; other kinds than names stay what they were."""
    if kind == "PERSON":
        person = values.person()
        return values.people.full(person) if " " in old else values.people.any(person)
    slot = {
        "GPE": "place",
        "ORGANIZATION": "org",
        "AGE": "age",
        "NRP": "nationality",
        "DATE_TIME": "date",
        "ZIP_CODE": "postcode",
    }.get(kind)
    if slot is not None:
        return values.make(slot)
    if kind == "STREET_ADDRESS" and len(old) > 12:
        return values.make("address")
    if kind == "TITLE":
        return values.make("honorific" if len(old) <= 6 else "occupation")
    return old
