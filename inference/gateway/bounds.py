"""The most tokens that a request can use, known without a tokenizer: what budgets reserve before a model is asked.

No tokenizer of the catalogue makes more tokens of a text than it has bytes, besides those that it puts around it; and no
model reads or writes more than its window.
"""

from collections.abc import Mapping, Sequence

from core.catalogue import get_base_model
from core.models.usage import UsageKind

_AROUND_TEXT = 2
_AROUND_MESSAGE = 16
_AROUND_CHAT = 64
"""With the system message that a template may put first."""


def texts_bound(texts: Sequence[str], base: str) -> Mapping[UsageKind, int]:
    """Of what an encoder reads."""
    window = get_base_model(base).max_length
    return {UsageKind.PREDICTION: sum(min(_bytes(text) + _AROUND_TEXT, window) for text in texts)}


def chat_bound(contents: Sequence[str], max_tokens: int | None, base: str) -> Mapping[UsageKind, int]:
    """Of what a chat reads and writes."""
    window = get_base_model(base).max_length
    read = sum(_bytes(content) + _AROUND_MESSAGE for content in contents) + _AROUND_CHAT
    return {
        UsageKind.CHAT_INPUT: min(read, window),
        UsageKind.CHAT_OUTPUT: min(max_tokens or window, window),
    }


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))
