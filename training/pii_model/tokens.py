"""Annotated texts as the tagger's tokens and targets."""

from collections.abc import Sequence

import numpy as np

from core.privacy.reading import Reader
from training.pii_model.examples import KINDS, AnnotatedText
from training.recipe.tagging.entities import OUTSIDE, bio_tags
from training.recipe.tokens import TokenizedSplit, starts_of

TAGS = bio_tags(KINDS)
MAX_TOKENS = 128
"""Of a training text, the special ones included; what comes behind is not read."""


class Targets:
    """What the words of texts are to be tagged as.

    A target below len(TAGS) is one tag. One from there on is any of several: of a text whose author marked some kinds only,
    a word without a mark is outside, or of a kind that nobody looked for.
    """

    def __init__(self, texts: Sequence[AnnotatedText]) -> None:
        self._kinds = sorted({text.kinds for text in texts}, key=sorted)
        self._tags = {tag: index for index, tag in enumerate(TAGS)}

    @property
    def allowed(self) -> np.ndarray:
        """[targets, tags]: which tags each target stands for."""
        partial = [[tag == OUTSIDE or tag[2:] not in kinds for tag in TAGS] for kinds in self._kinds]
        return np.concatenate([np.eye(len(TAGS), dtype=bool), np.array(partial)])

    def of(self, text: AnnotatedText, starts: Sequence[int]) -> list[int]:
        """The targets of the words of `text` that begin at these characters."""
        outside = len(TAGS) + self._kinds.index(text.kinds)
        targets = []
        spans = iter(text.spans)
        span = next(spans, None)
        last = None
        for start in starts:
            while span is not None and span.end <= start:
                span = next(spans, None)
            if span is None or start < span.start:
                targets.append(outside)
            else:
                targets.append(self._tags[f"{'I' if span is last else 'B'}-{span.kind}"])
                last = span
        return targets


def tokenize(reader: Reader, texts: Sequence[AnnotatedText], targets: Targets) -> TokenizedSplit:
    """`texts` as tokens, with the target of each word at its first one.

    A token's number holds how its word is written, too: id + shape * vocabulary.
    """
    ids, labels, places = [], [], []
    offset = 0
    for text in texts:
        row, firsts, starts = [reader.first_id], [], []
        for word in reader.words(text.text):
            if len(row) + len(word.ids) > MAX_TOKENS - 1:
                break
            firsts.append(offset + len(row))
            starts.append(word.start)
            row += [token + word.shape * reader.vocabulary for token in word.ids]
        row.append(reader.last_id)
        ids.append(np.array(row, dtype=np.int32))
        places += firsts
        labels.append(targets.of(text, starts))
        offset += len(row)
    return TokenizedSplit(
        ids=np.concatenate(ids),
        starts=starts_of(map(len, ids)),
        rows=np.arange(len(ids)),
        labels=np.fromiter((label for row_labels in labels for label in row_labels), dtype=np.int64),
        label_starts=starts_of(map(len, labels)),
        places=np.array(places, dtype=np.int64),
    )
