"""All that the tagger learns from, and what it is watched by while it learns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from training.pii_model.corpora import conll, plain, synthetic, tweets
from training.pii_model.examples import AnnotatedText
from training.pii_model.generate import generated, recased

# Shares of the texts; what is not there leaves its share to the generated ones.
_SYNTHETIC = 0.15
_WRITTEN = 0.30
_PLAIN = 0.05
_VALIDATION = 200


@dataclass(frozen=True, slots=True)
class Data:
    """Texts to train on and to validate by, and lines that say what they are."""

    train: Sequence[AnnotatedText]
    validation: Sequence[AnnotatedText]
    sources: Sequence[str]


def collect(count: int, seed: int, shared: Path, corpora: Path | None) -> Data:
    """`count` texts in random order.

    shared: the folder with presidio-research's set and WNUT17; corpora: one with .conll files; either may be missing.
    """
    random = Random(seed)
    made_up = synthetic(shared, round(count * _SYNTHETIC), seed)
    written = tweets(shared, ("train", "dev"))
    sources = []
    if made_up:
        sources.append(f"presidio-research's synthetic set, training templates: {len(made_up):,} texts")
    if written:
        sources.append(f"WNUT17, training and development: {len(written):,} tweets")
    if corpora is not None and (others := conll(corpora)):
        sources.append(f"{corpora.name}: {len(others):,} texts")
        written += others
    random.shuffle(written)
    written = [recased(text, random) for text in _repeated(written, round(count * _WRITTEN))]
    without_people = plain(shared, round(count * _PLAIN), seed)
    if without_people:
        sources.append(f"CLINC150 and MedQuAD, texts without people: {len(without_people):,} texts")
    own = generated(count - len(made_up) - len(written) - len(without_people), seed)
    sources.append(f"generated from templates: {len(own):,} texts")
    train = [*made_up, *written, *without_people, *own]
    random.shuffle(train)
    return Data(train, generated(_VALIDATION, seed + 1, held_out=True), sources)


def _repeated(texts: list[AnnotatedText], most: int) -> list[AnnotatedText]:
    """`texts` up to three times, but no more than `most`."""
    return (texts * 3)[:most]
