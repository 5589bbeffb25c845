"""The chat engine against transformers and PEFT: answers of several tenants' adapters on one base, on one core.

All write the same answers to the same prompts, greedily, each row with an adapter of its own as fine-tuning makes them.
Transformers writes them one at a time, its adapter switched on; PEFT's mixed batch runs them together, padded, with
`adapter_names`, as its documentation says. Rounds take turns, so that a noisy machine hurts all alike.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from benchmarks.chat_models import RANK, OurChat, Prompt, load_peft, make_prompts
from benchmarks.encoder_models import adapter_name
from benchmarks.results import Row, counted
from training.recipe.chat.decoder import LORA_LAYERS

SIZES = (1, 8, 32)
ALONE = 2
"""Answers that are written one at a time: each takes as long as the next."""


def measure(quick: bool) -> Iterator[Row]:
    """Tokens a second that are written, prompts read in the same time, at several numbers of rows."""
    torch.set_num_threads(1)
    tokens, rounds = (16, 2) if quick else (64, 5)
    contest = _Contest(max(SIZES), tokens)
    for size in SIZES:
        prompts = make_prompts(size)
        apart = sum(a != b for a, b in zip(contest.ours(prompts), contest.mixed(prompts), strict=True))
        times = _race({"ours": contest.ours, "mixed": contest.mixed, "alone": contest.alone}, prompts, rounds)
        ours = size * tokens / times["ours"]
        setting = (
            f"SmolLM2-135M, {counted(size, 'row')} of {tokens} tokens after prompts of 16 to 64, an adapter each: rank {RANK}, all "
            f"maps of the top {LORA_LAYERS} layers; one thread, median of {rounds}; {apart} answers differ"
        )
        for name, peer in (
            ("one-at-a-time", min(size, ALONE) * tokens / times["alone"]),
            ("peft-mixed", size * tokens / times["mixed"]),
        ):
            yield Row(f"chat/{size}/{name}", ours, peer, ours / peer, "tokens/s", setting)
    yield contest.memory()


class _Contest:
    """The same adapters in our engine and in PEFT's model. Row i has adapter i; no answer ends before its tokens."""

    def __init__(self, adapters: int, tokens: int) -> None:
        self._tokens = tokens
        self._peft = load_peft(adapters)
        self._ours = OurChat(self._peft, adapters, tokens)
        self.ours = self._ours.answer

    def memory(self) -> Row:
        """What an adapter takes."""
        ours = self._ours.adapter_bytes / 1024
        name = f".{adapter_name(0)}.weight"
        parameters = (value for key, value in self._peft.named_parameters() if key.endswith(name))
        peer = sum(parameter.nbytes for parameter in parameters) / 1024
        setting = f"an adapter of rank {RANK} on all maps of the top {LORA_LAYERS} layers"
        return Row("chat-adapter-memory/peft", ours, peer, peer / ours, "KiB", setting)

    def mixed(self, prompts: Sequence[Prompt]) -> list[str]:
        """Answers of one padded batch that mixes adapters."""
        return self._generate(prompts, adapter_names=list(map(adapter_name, range(len(prompts)))))

    def alone(self, prompts: Sequence[Prompt]) -> list[str]:
        """Answers of the first rows, one after the other."""
        texts = []
        for number, prompt in enumerate(prompts[:ALONE]):
            self._peft.set_adapter(adapter_name(number))
            texts += self._generate([prompt])
        return texts

    def _generate(self, prompts: Sequence[Prompt], **options: Any) -> list[str]:
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.inference_mode():
            written = self._peft.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=self._tokens, do_sample=False, **options
            )
        return [self._ours.text(row) for row in written[:, longest:].tolist()]


def _race(
    contenders: dict[str, Callable[[Sequence[Prompt]], list[str]]], prompts: Sequence[Prompt], rounds: int
) -> dict[str, float]:
    """Each contender's median seconds, in rounds that take turns.

    Of the processor: all use one thread, and what else runs on the machine is no matter of theirs.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, answer in contenders.items():
            started = time.process_time()
            answer(prompts)
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
