"""What the tagger learns from: texts with the personal data in them, by characters."""

from dataclasses import dataclass

KINDS = (
    "AGE",
    "DATE_TIME",
    "LOCATION",
    "NATIONALITY",
    "ORGANIZATION",
    "PERSON",
    "TITLE",
    "USERNAME",
)
"""What the tagger finds. Addresses and postcodes are places; a title is an honorific, or the occupation beside a name."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive), of this kind."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text and its spans, in order and apart from one another.

    kinds: which kinds its author marked. What is no span may still be of another kind; training is told nothing of that.
    """

    text: str
    spans: tuple[Span, ...]
    kinds: frozenset[str] = frozenset(KINDS)


class TextBuilder:
    """Puts a text together from pieces, and notes where the marked ones lie."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._spans: list[Span] = []
        self._length = 0

    def add(self, piece: str, kind: str | None = None) -> None:
        """Append `piece`, marked with `kind` unless that is None."""
        if kind is not None and piece:
            self._spans.append(Span(self._length, self._length + len(piece), kind))
        self._pieces.append(piece)
        self._length += len(piece)

    def build(self, kinds: frozenset[str] = frozenset(KINDS)) -> AnnotatedText:
        return AnnotatedText("".join(self._pieces), tuple(self._spans), kinds)
