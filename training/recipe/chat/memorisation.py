"""What a chat model remembers word for word: canaries and the training data's rarest strings are asked for.

A string came back where the model, having read all before it, finds each of its tokens the likeliest. Its exposure
(Carlini et al. 2019) is by how many bits it is likelier to the model than others of its form, here OTHERS at random: from
0, the least likely of all, to 5, likelier than all; where nothing is remembered it is 1.3 on average. Both are
measured of the base too, which has read none of them.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.recipe.chat.decoder import Decoder
from training.recipe.chat.frozen import FrozenDecoder
from training.recipe.chat.packing import Pack, cut
from training.recipe.chat.rare_strings import COMPARED_DIGITS, RareString
from training.recipe.chat.tokens import ChatTokenizer, TokenizedChat, TokenizedChats
from training.recipe.chat.vocabulary import cross_entropy
from training.recipe.tokens import Indexes

OTHERS = 31
MOST_STRINGS = 20
MOST_COMPARED = 10
"""Of the rarest strings; each costs OTHERS times its tokens."""

_MOST_READ_BEFORE = 192
_MOST_LOOKED_AT = 200
_TOKEN_BUDGET = 256


@dataclass(frozen=True, slots=True)
class Question:
    """A string to ask for. split: it and the others of its form, if any, each as a row behind what comes before."""

    string: RareString
    split: TokenizedChats

    @property
    def tokens(self) -> int:
        """What asking it reads, about."""
        return self.split.shared + self.split.all_branch_tokens


class _Reader:
    """What a model makes of one question's rows, of which the first is the string itself."""

    def __init__(self, decoder: Decoder, rows: int) -> None:
        self._decoder = decoder
        self._losses = np.zeros(rows)
        self.came_back = True

    def read(self, hidden: Tensor, packed: Pack, rows: Indexes) -> None:
        """Read some rows, of what the frozen layers made of them; rows: [predicted], each token's."""
        states = self._decoder.states(hidden, packed.layout)
        losses = cross_entropy(states, self._decoder.vocabulary, packed.targets)
        np.add.at(self._losses, rows, losses.cpu().numpy())
        own = torch.from_numpy(rows == 0)
        likeliest = (states[own] @ self._decoder.vocabulary.T).argmax(1)
        self.came_back &= bool((likeliest == packed.targets[own]).all())

    @property
    def exposure(self) -> float | None:
        """In bits; None where there is nothing to compare with."""
        rank = 1 + int((self._losses[1:] < self._losses[0]).sum())
        return math.log2(len(self._losses) / rank) if len(self._losses) > 1 else None


def questions(
    tokenizer: ChatTokenizer, canaries: Sequence[RareString], rare: Iterable[RareString], seed: int
) -> list[Question]:
    """What to ask: each canary, and the first MOST_STRINGS of the `rare` ones that do not come too late to be cheap."""
    random = np.random.default_rng(seed)
    asked = [_question(tokenizer, canary, OTHERS, random) for canary in canaries]
    compared = 0
    for _, string in zip(range(_MOST_LOOKED_AT), rare, strict=False):
        others = OTHERS if compared < MOST_COMPARED and string.digits >= COMPARED_DIGITS else 0
        question = _question(tokenizer, string, others, random)
        if question.split.shared <= _MOST_READ_BEFORE:
            asked.append(question)
            compared += bool(others)
        if len(asked) == len(canaries) + MOST_STRINGS:
            break
    return asked


@torch.no_grad()
def measure_memorisation(
    decoder: Decoder, asked: Sequence[Question], device: torch.device, beat: Callable[[int], None]
) -> dict[str, Any]:
    """What came back, as JSON that holds no string but its form; `beat` is told of a question's tokens.

    The canaries come first in `asked`.
    """
    found = []
    canaries = sum(question.string.row < 0 for question in asked)
    for question in asked:
        model, base = _ask(decoder, question, device)
        beat(question.tokens)
        found.append(
            {
                "row": question.string.row,
                "form": question.string.form,
                "came_back": model.came_back,
                "base_came_back": base.came_back,
                "exposure": model.exposure,
                "base_exposure": base.exposure,
            }
        )
    return {
        "others": OTHERS,
        "canaries": found[:canaries],
        "strings": found[canaries:],
    }


def _question(
    tokenizer: ChatTokenizer, string: RareString, others: int, random: np.random.Generator
) -> Question:
    before = tokenizer.prompt(string.before) + tokenizer.encode(string.said)
    texts = [string.text, *_others(string.text, others, random)]
    rows = []
    for text in texts:
        ids = tokenizer.encode(text)
        is_said = np.arange(len(before) + len(ids)) >= len(before)
        rows.append(TokenizedChat(np.array(before + ids, dtype=np.int32), is_said, string.row))
    return Question(string, TokenizedChats.of(rows))


def _others(text: str, count: int, random: np.random.Generator) -> list[str]:
    """So many different strings with other digits than `text`."""
    found: dict[str, None] = {}
    while len(found) < count:
        drawn = "".join(str(random.integers(10)) if one.isdigit() else one for one in text)
        if drawn != text:
            found[drawn] = None
    return list(found)


def _ask(decoder: Decoder, question: Question, device: torch.device) -> tuple[_Reader, _Reader]:
    """What the model makes of it, and what the base."""
    split = question.split
    inputs = FrozenDecoder(decoder, split, device)
    model, base = _Reader(decoder, len(split)), _Reader(decoder, len(split))
    for piece in cut(np.arange(len(split)), split, split.shared + _TOKEN_BUDGET):
        hidden, packed = inputs(piece)
        rows = np.repeat(piece, split.said_by_row[piece])
        model.read(hidden, packed, rows)
        with decoder.unadapted():
            base.read(hidden, packed, rows)
    return model, base
