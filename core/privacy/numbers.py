"""Placeholders as a chat model reads them: numbered in the order in which they come up in a conversation."""

import re

from core.privacy.placeholders import PLACEHOLDER


class Numbering:
    """The numbers of one conversation's placeholders. The same value has the same number in all of its messages."""

    def __init__(self) -> None:
        self._numbered: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def number(self, text: str) -> str:
        """`text` with each placeholder's code made a number: `[PERSON_7F3KQ2ZD]` → `[PERSON_1]`.

        A model can tell who is who by them, and learns nothing that holds in this conversation only.
        """
        return PLACEHOLDER.sub(self._of, text)

    def _of(self, match: re.Match[str]) -> str:
        placeholder, entity = match[0], match[1]
        if placeholder not in self._numbered:
            self._counts[entity] = self._counts.get(entity, 0) + 1
            self._numbered[placeholder] = f"[{entity}_{self._counts[entity]}]"
        return self._numbered[placeholder]
