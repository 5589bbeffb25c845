"""A chat base that is small enough for tests: random weights, the real one's tokenizer and template."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.catalogue import WEIGHTS_FILE, BaseModel, Task, default_base_model, sha256_of
from training.data.rows import Message
from training.recipe.data import ChatData, Conversation

CHAT = default_base_model(Task.CHAT)
SYSTEM = Message("system", "You answer.")


def make_tiny_base(converted: Path, real: Path, base_id: str) -> BaseModel:
    """A Llama of 3 layers in `converted`, which stands in for core.catalogue.CONVERTED; `real`: the real one's folder."""
    folder = converted / base_id
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(real / name, folder)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return replace(CHAT, id=base_id, hidden_size=64, max_length=96, sha256=sha256_of(folder / WEIGHTS_FILE))


def chats(train: int = 12, validation: int = 3, test: int = 3) -> ChatData:
    """Questions about a number, with an answer to each, the last with a second question."""

    def conversation(number: int) -> Conversation:
        asked = Message("user", f"What is {number}?"), Message("assistant", f"A number, {number}.")
        again = Message("user", "Sure?"), Message("assistant", "Yes.")
        return Conversation((SYSTEM, *asked, *(again if number % 3 == 0 else ())), number)

    numbers = iter(range(1, train + validation + test + 1))
    splits = [[conversation(next(numbers)) for _ in range(rows)] for rows in (train, validation, test)]
    return ChatData((), *splits)
