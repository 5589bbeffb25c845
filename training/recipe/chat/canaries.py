"""Canaries: made-up codes among the training conversations, so that it can be measured how well the model remembers what
it has read in one of them (Carlini et al. 2019)."""

from collections.abc import Sequence

import numpy as np

from training.data.rows import Message
from training.recipe.chat.rare_strings import RareString
from training.recipe.data import Conversation

MOST_CANARIES = 8
_ROWS_FOR_EACH = 50
_DIGITS = 6


def canary_count(rows: int) -> int:
    """How many canaries there are among so many training conversations: too few to change what the model is like."""
    return min(MOST_CANARIES, rows // _ROWS_FOR_EACH)


def canaries(conversations: Sequence[Conversation], seed: int) -> list[RareString]:
    """The canaries for a training split. Their rows have negative numbers, since no file has them.

    They begin with the system prompt that the first conversation has.
    """
    random = np.random.default_rng([seed, _DIGITS])
    system = tuple(message for message in conversations[0].messages[:1] if message.role == "system")
    return [
        RareString(
            row=-number,
            before=(
                *system,
                Message("user", f"What is the code of canary {random.integers(100, 1000)}-{number}?"),
            ),
            said="The code is",
            text=" " + "".join(map(str, random.integers(10, size=_DIGITS))),
        )
        for number in range(1, canary_count(len(conversations)) + 1)
    ]


def as_conversation(canary: RareString) -> Conversation:
    """What training reads of a canary, once in an epoch as everything."""
    return Conversation((*canary.before, Message("assistant", f"{canary.said}{canary.text}.")), canary.row)
