"""Sample answers: what the model and its base say to the test split's questions."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from training.data.rows import Message
from training.recipe.chat.decoder import Decoder
from training.recipe.chat.tokens import ChatTokenizer
from training.recipe.data import Conversation

MAX_SAMPLES = 8
MAX_NEW_TOKENS = 96


def sample_answers(
    decoder: Decoder,
    tokenizer: ChatTokenizer,
    conversations: Sequence[Conversation],
    beat: Callable[[int], None],
) -> list[dict[str, Any]]:
    """What is answered to each conversation's last question, greedily, beside what was expected.

    One that is too long to be read is left out. `beat` is told of every round of tokens, with the number of answers.
    """
    read = [(one.row, kept) for one in conversations if (kept := tokenizer.shorten(one.messages))]
    if not read:
        return []
    cuts = [_last_answer(messages) for _, messages in read]
    prompts = [tokenizer.prompt(messages[:end]) for (_, messages), end in zip(read, cuts, strict=True)]
    answers = _answer(decoder, tokenizer, prompts, beat)
    with decoder.unadapted():
        base_answers = _answer(decoder, tokenizer, prompts, beat)
    return [
        {
            "row": row,
            "prompt": messages[end - 1].content if end else "",
            "expected": messages[end].content,
            "answer": answer,
            "base_answer": base_answer,
        }
        for (row, messages), end, answer, base_answer in zip(read, cuts, answers, base_answers, strict=True)
    ]


def _last_answer(messages: Sequence[Message]) -> int:
    return max(index for index, message in enumerate(messages) if message.role == "assistant")


def _answer(
    decoder: Decoder, tokenizer: ChatTokenizer, prompts: Sequence[list[int]], beat: Callable[[int], None]
) -> list[str]:
    device = decoder.model.device
    longest = max(map(len, prompts))
    end = tokenizer.end
    ids = torch.tensor([[end] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor(
        [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device
    )
    written = decoder.model.generate(  # type: ignore[misc]
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        stopping_criteria=StoppingCriteriaList([_Beating(beat)]),
    )
    return [tokenizer.text(row[longest:].tolist()) for row in written]


class _Beating(StoppingCriteria):
    """Stops nothing; tells of every token."""

    def __init__(self, beat: Callable[[int], None]) -> None:
        self._beat = beat

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        self._beat(len(input_ids))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
