"""The rarest strings that training has the assistant say: numbers, codes and names that one conversation alone has."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from training.data.rows import Message
from training.recipe.data import Conversation

MOST_SEARCHED = 5_000
"""Conversations, that is a second or so."""

COMPARED_DIGITS = 3
"""A string with as many digits has others of its form to be compared with."""

_SHORTEST, _LONGEST = 5, 32
_WORD = re.compile(r"\S+")
_AROUND = "\"'“”‘’.,;:!?()*_…`"
_MARKS = frozenset("[]<>")


@dataclass(frozen=True, slots=True)
class RareString:
    """A string as an answer says it. row: of its conversation, in the file; before: the messages before the answer;
    said: the answer up to the string; text: the string, with the space before it."""

    row: int
    before: tuple[Message, ...]
    said: str
    text: str

    @property
    def digits(self) -> int:
        return sum(character.isdigit() for character in self.text)

    @property
    def form(self) -> str:
        """The string with its letters and digits covered: `XX-0000`."""
        return "".join(map(_covered, self.text.strip()))


def find_rare_strings(conversations: Sequence[Conversation]) -> Iterator[RareString]:
    """Strings of the assistant's that no other conversation has, and nobody has said before in their own.

    Those with digits come first, of equals the longer. Placeholders of personal data are none: their values never
    reached training. Of very many conversations the first MOST_SEARCHED are searched.
    """
    searched = list(islice(conversations, MOST_SEARCHED))
    found_in: dict[str, int | None] = {}
    for index, conversation in enumerate(searched):
        for word in {word for message in conversation.messages for word in _words(message.content)}:
            found_in[word] = None if word in found_in else index
    once = [(word, index) for word, index in found_in.items() if index is not None]
    once.sort(key=lambda found: (-min(COMPARED_DIGITS, _digits(found[0])), -len(found[0]), found[1]))
    for word, index in once:
        string = _place(searched[index], word)
        if string is not None:
            yield string


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        word = match.group().strip(_AROUND)
        if _SHORTEST <= len(word) <= _LONGEST and not _MARKS.intersection(word):
            yield word


def _digits(word: str) -> int:
    return sum(character.isdigit() for character in word)


def _place(conversation: Conversation, word: str) -> RareString | None:
    """Where `word` is said first; None where that is not by the assistant."""
    for index, message in enumerate(conversation.messages):
        start = message.content.find(word)
        if start < 0:
            continue
        if message.role != "assistant":
            return None
        # A token begins with the space before its word.
        if message.content[start - 1 : start] == " ":
            start -= 1
        end = message.content.index(word, start) + len(word)
        return RareString(
            conversation.row,
            conversation.messages[:index],
            message.content[:start],
            message.content[start:end],
        )
    return None


def _covered(character: str) -> str:
    if character.isdigit():
        return "0"
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return character
