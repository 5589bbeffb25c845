"""Texts as the tagger reads them: the base model's tokens, how each word is written, and where it stands."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tokenizers import Tokenizer

SHAPES = 8
"""How words are written: in small letters (0), Capitalised (1), in CAPITALS (2), with capitals inSide (3); from 4 on
the same of the first word of a line. The base model reads small letters only, and case tells most of what is a name."""

_NEW_LINE = 4


@dataclass(frozen=True, slots=True)
class Word:
    """What lies between spaces and punctuation marks, or one of those: characters `start` to `end` (exclusive)."""

    start: int
    end: int
    shape: int
    ids: tuple[int, ...]


class Reader:
    """Cuts texts into words with the tokenizer of the base model."""

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        special = self._tokenizer.encode("", add_special_tokens=True)
        self.first_id, self.last_id = special.ids
        self.vocabulary: int = self._tokenizer.get_vocab_size()

    def words(self, text: str) -> list[Word]:
        """The words of `text`, in order. One of more than a hundred characters is one token, whatever is in it."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        ids, offsets, numbers = encoded.ids, encoded.offsets, encoded.word_ids
        words: list[Word] = []
        end = 0
        for _, tokens in groupby(range(len(ids)), key=numbers.__getitem__):
            numbered = list(tokens)
            first, last = numbered[0], numbered[-1]
            start = offsets[first][0]
            starts_line = bool(words) and "\n" in text[end:start]
            end = offsets[last][1]
            shape = _case(text[start:end]) + _NEW_LINE * starts_line
            words.append(Word(start, end, shape, tuple(ids[first : last + 1])))
        return words


def _case(word: str) -> int:
    if not any(map(str.isupper, word)):
        return 0
    if word[0].isupper() and (len(word) == 1 or word[1:].islower()):
        return 1
    return 2 if word.isupper() else 3
