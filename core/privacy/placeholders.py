"""The syntax of placeholders: an entity, and what stands for one value of it.

That is a code in what is stored, `[PERSON_7F3KQ2ZD]`, and a number in what a chat model reads, `[PERSON_1]`.
"""

import re

from core.privacy.entities import ENTITY_NAMES

CODE_LENGTH = 8
_ENTITY = rf"({'|'.join(sorted(ENTITY_NAMES))})"
_CODE = rf"[A-Z2-7]{{{CODE_LENGTH}}}"
_BODY = rf"{_ENTITY}_(?:{_CODE}|[1-9][0-9]{{0,4}})"

PLACEHOLDER = re.compile(rf"\[{_ENTITY}_{_CODE}\]")
PLACEHOLDER_OR_ESCAPED = re.compile(rf"\[~*{_BODY}\]")
ESCAPED = re.compile(rf"\[~+{_BODY}\]")
"""What `escape` has marked. One that is not yet all there matches UNFINISHED."""

UNFINISHED = re.compile(r"\[~*[A-Z0-9_]{0,40}")

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
