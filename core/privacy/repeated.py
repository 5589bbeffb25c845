"""Names that are certain in one place, found in all others of the same row: "Ada Lovelace … Lovelace"."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from core.privacy.types import Finding

_CERTAIN = 0.9
_SHORTEST = 3  # characters; a shorter part of a name is a word of many languages
_WORD = re.compile(r"[^\W\d_]+(?:['’-](?!s\b)[^\W\d_]+)*")


class NamesOfARow:
    """The names of people in each row."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, float]] = defaultdict(dict)
        self._words: dict[int, set[str]] = defaultdict(set)

    def learn(self, row: int, text: str, findings: Iterable[Finding]) -> None:
        """Take in one of the row's texts and what was found in it."""
        certain = [one for one in findings if one.entity == "PERSON" and one.score >= _CERTAIN]
        for finding in certain:
            for part in _WORD.findall(text[finding.start : finding.end]):
                if len(part) >= _SHORTEST and not part.islower():
                    self._parts[row][part] = max(finding.score, self._parts[row].get(part, 0))
        if certain:
            self._words[row].update(_WORD.findall(text))

    def find(self, row: int, text: str) -> list[Finding]:
        """Where the row's names and their parts stand in `text`, words that follow one another as one.

        A part that the row also has in small letters is a word as well, "Will" and "will", and not looked for.
        """
        parts = self._parts.get(row)
        if not parts:
            return []
        words = self._words[row]
        places = [
            (match.start(), match.end(), parts[match[0]])
            for match in _WORD.finditer(text)
            if match[0] in parts and match[0].lower() not in words
        ]
        return _joined(text, places)


def _joined(text: str, places: list[tuple[int, int, float]]) -> list[Finding]:
    """Findings of `places`, start, end and score each, in which those with but a space between are one."""
    findings: list[Finding] = []
    for start, end, score in places:
        last = findings[-1] if findings else None
        if last is not None and text[last.end : start] == " ":
            findings[-1] = replace(last, end=end, score=min(last.score, score))
        else:
            findings.append(Finding(start, end, "PERSON", score))
    return findings
