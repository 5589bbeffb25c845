"""Finds the values of a tenant's own list, wherever they stand in a text."""

from collections.abc import Iterable, Iterator

from core.privacy.entities import CUSTOM
from core.privacy.types import Finding


def find_denied(text: str, values: Iterable[str]) -> list[Finding]:
    """Where any of `values` stands in `text`, in any case and with any space between its words; longest first.

    Part of a longer word or number is none. Scripts without case often write no space between words, so there it is.
    """
    lowered = _lower(text)
    return [
        Finding(start, end, CUSTOM, 1.0)
        for value in sorted(values, key=len, reverse=True)
        for start, end in _places(lowered, _lower(value).split())
    ]


def _places(text: str, words: list[str]) -> Iterator[tuple[int, int]]:
    start = text.find(words[0])
    while start >= 0:
        end = _end(text, start, words)
        if end is not None and _apart(text, start) and _apart(text, end):
            yield start, end
            start = text.find(words[0], end)
        else:
            start = text.find(words[0], start + 1)


def _end(text: str, start: int, words: list[str]) -> int | None:
    """Where `words` end that begin at `start`, if all of them stand there."""
    end = start + len(words[0])
    for word in words[1:]:
        following = end
        while text[following : following + 1].isspace():
            following += 1
        if following == end or not text.startswith(word, following):
            return None
        end = following + len(word)
    return end


def _apart(text: str, position: int) -> bool:
    """Whether no word goes on across `position`."""
    return not (0 < position < len(text) and _joins(text[position - 1]) and _joins(text[position]))


def _joins(char: str) -> bool:
    return char.isdigit() or char.lower() != char.upper()


def _lower(text: str) -> str:
    """`text` in small letters, character for character so that offsets hold."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)
