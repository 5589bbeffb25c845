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

    `beat` is told of every token round, with the number of its answers.
    """
    if not conversations:
        return []
    cuts = [_last_answer(conversation.messages) for conversation in conversations]
    asked = [conversation.messages[:end] for conversation, end in zip(conversations, cuts, strict=True)]
    prompts = [tokenizer.prompt(messages) for messages in asked]
    answers = _answer(decoder, tokenizer, prompts, beat)
    with decoder.unadapted():
        base_answers = _answer(decoder, tokenizer, prompts, beat)
    return [
        {
            "row": conversation.row,
            "prompt": conversation.messages[end - 1].content if end else "",
            "expected": conversation.messages[end].content,
            "answer": answer,
            "base_answer": base_answer,
        }
        for conversation, end, answer, base_answer in zip(
            conversations, cuts, answers, base_answers, strict=True
        )
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
