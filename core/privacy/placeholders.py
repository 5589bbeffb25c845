"""The syntax of placeholders, `[PERSON_7F3KQ2ZD]`: an entity, and the code that stands for one value of it."""

import re

from core.privacy.entities import ENTITY_NAMES

CODE_LENGTH = 8
_BODY = rf"({'|'.join(sorted(ENTITY_NAMES))})_[A-Z2-7]{{{CODE_LENGTH}}}"

PLACEHOLDER = re.compile(rf"\[{_BODY}\]")
PLACEHOLDER_OR_ESCAPED = re.compile(rf"\[~*{_BODY}\]")
_START = re.compile(rf"\[(?=~*{_BODY}\])")
_ESCAPED_START = re.compile(rf"\[~(?=~*{_BODY}\])")


def escape(text: str) -> str:
    """A tenant's own text, so marked that none of it reads as a placeholder: `[PERSON_…]` → `[~PERSON_…]`.

    What looks escaped gets one more mark, so that `unescape` gives back exactly the text that there was.
    """
    return _START.sub("[~", text)


def find_escaped(text: str) -> list[int]:
    """Where `escape` puts a mark: the positions in `text` of the brackets that it puts one after."""
    return [match.start() for match in _START.finditer(text)]


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    return _ESCAPED_START.sub("[", text)
