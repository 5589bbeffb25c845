"""Puts a tenant's values back where a model wrote what stood for them, in texts that come piece by piece too."""

import re
from collections.abc import Iterable, Iterator, Mapping

from core.privacy.placeholders import ESCAPED, UNFINISHED, unescape


class Restorer:
    """Restores one answer. `values` are what stood for values, and these; nothing else is ever put into a text.

    What `escape` marked loses its mark, so that a tenant's own text that looks like a placeholder comes back as it was.
    How a text is cut into pieces changes nothing: of what stands at one place, the longest counts.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._by_start: dict[str, list[str]] = {"[": []}
        for stood in sorted(values, key=len, reverse=True):
            self._by_start.setdefault(stood[0], []).append(stood)
        self._start = re.compile(f"[{''.join(map(re.escape, sorted(self._by_start)))}]")
        self._rest = ""
        self._before = ""  # the character in front of the rest

    def restore(self, pieces: Iterable[str]) -> Iterator[str]:
        """The pieces of an answer restored; what could be the beginning of a placeholder waits for the next one."""
        for piece in pieces:
            if restored := self.feed(piece):
                yield restored
        if restored := self.finish():
            yield restored

    def feed(self, piece: str) -> str:
        """What is certain once `piece` has come, and was not given before."""
        return self._take(self._rest + piece, is_all=False)

    def finish(self) -> str:
        """The rest, when no more comes."""
        return self._take(self._rest, is_all=True)

    def _take(self, text: str, *, is_all: bool) -> str:
        parts = []
        position = 0
        rest = len(text)
        while match := self._start.search(text, position):
            start = match.start()
            if not is_all and self._may_go_on(text, start):
                rest = start
                break
            end, restored = self._at(text, start)
            parts += [text[position:start], restored]
            position = end
        parts.append(text[position:rest])
        self._before = text[rest - 1] if rest else self._before
        self._rest = text[rest:]
        return "".join(parts)

    def _may_go_on(self, text: str, start: int) -> bool:
        """Whether what begins at `start` reaches the end of `text` and could become something else with what comes."""
        if UNFINISHED.fullmatch(text, start):
            return True
        candidates = self._by_start[text[start]]
        if not candidates or len(text) - start > len(candidates[0]):
            return False
        rest = text[start:]
        # Whether a word ends where the text does is not known yet.
        return any(one.startswith(rest) and (one != rest or one[-1].isalnum()) for one in candidates)

    def _at(self, text: str, start: int) -> tuple[int, str]:
        """Where what stands at `start` ends, and what it becomes."""
        for stood in self._by_start[text[start]]:
            end = start + len(stood)
            if text.startswith(stood, start) and self._is_apart(text, start, end):
                return end, self._values[stood]
        if escaped := ESCAPED.match(text, start):
            return escaped.end(), unescape(escaped[0])
        return start + 1, text[start]

    def _is_apart(self, text: str, start: int, end: int) -> bool:
        """Whether no word goes on across the edges of [start, end): a name in a longer word is another word."""
        before = text[start - 1] if start else self._before
        behind = text[end : end + 1]
        begins_in_word = before.isalnum() and text[start].isalnum()
        ends_in_word = behind.isalnum() and text[end - 1].isalnum()
        return not (begins_in_word or ends_in_word)
