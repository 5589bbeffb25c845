"""What a model read in place of what a person wrote: texts in pieces, for pages that show both beside each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference.gateway.chat import Message
from inference.gateway.prediction import Replacement
from inference.gateway.protect import ProtectedTogether
from portal.highlights import Piece, Span, cut, find_all


def wrote(text: str, replacements: Iterable[Replacement]) -> list[Piece]:
    """The text as it came, cut at what was replaced in it."""
    return cut(text, [Span(one.start, one.end, one.entity) for one in replacements])


def read(text: str, replacements: Iterable[Replacement]) -> list[Piece]:
    """The text as the model read it, cut at what stands in another's place."""
    return cut(text, [Span(one.read_start, one.read_end, one.entity) for one in replacements])


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A message in pieces: as it was written, and as the model read it."""

    role: str
    wrote: list[Piece]
    read: list[Piece]


class Reading:
    """A conversation beside what the model read of it. It holds its values: it lives as long as the response."""

    def __init__(self, messages: Sequence[Message], protected: ProtectedTogether) -> None:
        self.messages = [
            ReadMessage(message.role, wrote(message.content, replacements), read(content, replacements))
            for message, content, replacements in zip(
                messages, protected.contents, protected.replacements, strict=True
            )
        ]
        kinds = {one.stands: one.entity for found in protected.replacements for one in found}
        self._kinds = {value: kinds[stands] for stands, value in protected.values.items()}
        self.has_replaced = bool(kinds)

    def answer(self, text: str) -> list[Piece]:
        """The model's answer, cut at the values that came back in it."""
        return find_all(text, self._kinds)
