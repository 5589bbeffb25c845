"""Runs the patterns of Presidio's recognizers, with their checksums and the words that speak for them.

Presidio's own loop leaves a pattern out that takes too long, and the text passes with what it has in it. Here nothing
is left out: the patterns are kept from taking long, and an error is an error.

Imports Presidio: import this module through core.privacy.engines only.
"""

from collections.abc import Callable, Iterator

import regex
from presidio_analyzer import PatternRecognizer

from core.privacy.patterns.context import has_word, words_around
from core.privacy.types import Finding

Finder = Callable[[str], Iterator[Finding]]
"""Finds one kind of personal data in a text; findings may overlap."""

THRESHOLD = 0.4
CONTEXT_BOOST = 0.35  # as in Presidio's own context enhancer


def finder(recognizer: PatternRecognizer, entity: str | None = None, *, in_context: bool = False) -> Finder:
    """What finds the recognizer's results above the threshold, named `entity` where that is given.

    With `in_context` only where the words around speak of it: a check digit alone says little of a number that a
    tenth of all others would pass for.
    """
    name = entity or recognizer.supported_entities[0]
    context = tuple(word for phrase in recognizer.context or () for word in phrase.casefold().split())
    flags = recognizer.global_regex_flags
    patterns = [
        (regex.compile(one["regex"], flags), one["score"]) for one in recognizer.to_dict()["patterns"]
    ]

    def find(text: str) -> Iterator[Finding]:
        for pattern, base in patterns:
            for match in pattern.finditer(text):
                start, end = match.span()
                score = _score(recognizer, match[0], base)
                if score == 0 or start == end:
                    continue
                if (score < 1 or in_context) and has_word(words_around(text, start, end), context):
                    score = min(max(score + CONTEXT_BOOST, THRESHOLD), 1.0)
                elif in_context:
                    continue
                if score >= THRESHOLD:
                    yield Finding(start, end, name, score)

    return find


def _score(recognizer: PatternRecognizer, value: str, base: float) -> float:
    """1 for what has the right checksum, 0 for what is none, and otherwise what the pattern is worth."""
    if recognizer.invalidate_result(value):
        return 0.0
    match recognizer.validate_result(value):
        case None:
            return base
        case valid:
            return 1.0 if valid else 0.0
