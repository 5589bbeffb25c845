"""The words around a match, which tell what a row of digits is."""

import re

_WORDS_EACH_SIDE = 5  # as in Presidio's own context enhancer, which needs a full spaCy pipeline with lemmas
_CHARACTERS_EACH_SIDE = 80
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of `text`, case folded."""
    return [word.casefold() for word in _WORD.findall(text)]


def words_around(text: str, start: int, end: int) -> list[str]:
    """The few words before and behind [start, end), case folded."""
    before = words(text[max(0, start - _CHARACTERS_EACH_SIDE) : start])[-_WORDS_EACH_SIDE:]
    behind = words(text[end : end + _CHARACTERS_EACH_SIDE])[:_WORDS_EACH_SIDE]
    return before + behind


def has_word(found: list[str], wanted: tuple[str, ...]) -> bool:
    """Whether one of `found` is a wanted word, its plural, or, for one of five letters on, begins with it."""
    prefixes = tuple(prefix for prefix in wanted if len(prefix) >= 5)
    return any(
        word in wanted or word.removesuffix("s") in wanted or word.startswith(prefixes) for word in found
    )
