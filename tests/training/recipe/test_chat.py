"""A chat model's fine-tune, on a tiny base: what it learns, tells, resumes, refuses, and writes down."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.catalogue import BaseModel
from core.models.fine_tune_jobs import JobStatus, Method
from tests.training.recipe.conftest import SEED
from tests.training.recipe.samples import Killed, Memory
from tests.training.recipe.tiny_chat import CHAT, chats, make_tiny_base
from training.data.rows import Message
from training.recipe import saver, schedule
from training.recipe.by_task import fine_tune, measure
from training.recipe.chat.run import promotion
from training.recipe.data import ChatData, Conversation
from training.recipe.errors import RecipeError
from training.recipe.result import Result
from training.recipe.settings import FineTuneSettings, SettingsError

SETTINGS = FineTuneSettings(epochs=2, rank=4, learning_rate=0.01)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Iterator[BaseModel]:
    """A tiny base whose lowest layers stay frozen, and batches of 4 conversations."""
    real = CHAT.folder()
    with pytest.MonkeyPatch.context() as patch:
        converted = tmp_path_factory.mktemp("base-models")
        patch.setattr("core.catalogue.CONVERTED", converted)
        patch.setattr("training.recipe.chat.decoder.LORA_LAYERS", 2)
        patch.setattr("training.recipe.chat.samples.MAX_NEW_TOKENS", 4)
        patch.setattr("training.recipe.chat.run.CHAT", replace(schedule.CHAT, batch_rows=4))
        yield make_tiny_base(converted, real, "tiny")


@pytest.fixture(scope="module")
def trained(base, quick) -> tuple[Result, Memory]:
    memory = Memory()
    return fine_tune(chats(), SETTINGS, base, SEED, memory), memory


def test_the_evaluation_compares_held_out_conversations_with_the_base(trained):
    evaluation = trained[0].evaluation
    test = evaluation["test"]
    assert (evaluation["task"], test["rows"]) == ("chat", 3)
    assert test["loss"] < test["base_loss"]
    assert test["perplexity"] < test["base_perplexity"]
    assert evaluation["promotion"] == {"promotable": True, "reason": None}
    assert evaluation["validation"]["rows"] == 3


def test_samples_are_the_last_answers_of_test_conversations(trained):
    samples = trained[0].evaluation["samples"]
    assert [(sample["row"], sample["prompt"], sample["expected"]) for sample in samples] == [
        (16, "What is 16?", "A number, 16."),
        (17, "What is 17?", "A number, 17."),
        (18, "Sure?", "Yes."),
    ]
    assert all({"answer", "base_answer"} <= sample.keys() for sample in samples)


def test_phases_progress_and_curves_are_told(trained):
    _, memory = trained
    assert list(dict.fromkeys(memory.phases)) == [
        JobStatus.PREPARING,
        JobStatus.TRAINING,
        JobStatus.EVALUATING,
    ]
    shares = [share for share, _ in memory.beats]
    assert shares == sorted(shares)
    assert memory.beats[-1] == (1.0, 0)
    steps = {name: [step for metric, step in memory.metrics if metric == name] for name, _ in memory.metrics}
    assert steps == {"train_loss": [1, 2, 3, 4, 5, 6], "validation_loss": [0, 3, 6]}
    assert not any("number" in line for line in memory.lines)


def test_the_same_seed_gives_the_same_adapter(trained, base):
    assert fine_tune(chats(), SETTINGS, base, SEED, Memory()) == trained[0]


@pytest.mark.parametrize("checkpoint", [1, 3, 6])
def test_a_resumed_fine_tune_ends_as_one_that_was_never_interrupted(checkpoint, trained, base, monkeypatch):
    monkeypatch.setattr(saver, "_SECONDS", 0.0)
    monkeypatch.setattr(saver, "_SHARE", 0)
    result, uninterrupted = trained
    killed, resumed = Memory(stop_at=checkpoint), Memory()
    with pytest.raises(Killed):
        fine_tune(chats(), SETTINGS, base, SEED, killed)
    assert fine_tune(chats(), SETTINGS, base, SEED, resumed, killed.checkpoints[-1]) == result
    assert {**killed.metrics, **resumed.metrics} == uninterrupted.metrics


def test_transformers_and_peft_give_the_loss_that_was_evaluated(trained, base):
    """The file alone, as anybody would read it, on each test conversation by itself."""
    result, _ = trained
    header = json.loads(result.adapter_file[8 : 8 + int.from_bytes(result.adapter_file[:8], "little")])
    metadata, tensors = header["__metadata__"], load(result.adapter_file)
    assert (metadata["format"], metadata["task"], metadata["labels"]) == ("adaptary-adapter/1", "chat", "[]")
    assert (metadata["base_model"], metadata["base_digest"]) == ("tiny", base.sha256)
    targets = sorted({name.split(".lora_")[0] for name in tensors})
    assert len(targets) == 2 * 7
    config = LoraConfig(r=int(metadata["rank"]), lora_alpha=int(metadata["alpha"]), target_modules=targets)
    plain = AutoModelForCausalLM.from_pretrained(base.folder())
    model = get_peft_model(plain, config)
    loaded: Any = set_peft_model_state_dict(
        model, {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}
    )
    assert not loaded.unexpected_keys

    tokenizer = AutoTokenizer.from_pretrained(base.folder())
    losses = []
    for conversation in chats().test:
        ids, said = read(tokenizer, conversation)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")
        losses.append(loss[torch.tensor(said[1:])])
    test = result.evaluation["test"]
    assert test["tokens"] == sum(map(len, losses))
    assert float(torch.cat(losses).mean()) == pytest.approx(test["loss"], abs=1e-5)


def read(tokenizer, conversation: Conversation) -> tuple[list[int], list[bool]]:
    """The conversation's ids by the base's template, and which of them the assistant says."""
    messages = [{"role": message.role, "content": message.content} for message in conversation.messages]
    ids = tokenizer.apply_chat_template(messages)["input_ids"]
    said = [False] * len(ids)
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            start = len(
                tokenizer.apply_chat_template(messages[:index], add_generation_prompt=True)["input_ids"]
            )
            end = len(tokenizer.apply_chat_template(messages[: index + 1])["input_ids"])
            said[start : end - 1] = [True] * (end - 1 - start)  # without the line break
    return ids, said


def test_training_tokens_are_those_of_the_training_split_in_every_epoch(trained, base):
    estimated = measure(chats(), SETTINGS, base, lambda: None)
    assert trained[0].training_tokens == trained[1].training_tokens == estimated.training_tokens
    assert estimated.seconds > 0


def test_a_model_that_is_no_better_than_its_base_is_not_promotable():
    promoted = promotion(2.0, 2.0)
    assert not promoted["promotable"]
    assert "does not beat its base" in promoted["reason"]


def test_without_a_validation_split_the_last_weights_are_kept(base):
    result = fine_tune(chats(train=4, validation=0), SETTINGS, base, SEED, Memory())
    assert "validation" not in result.evaluation


def test_a_conversation_that_is_too_long_is_left_out_and_said_so(base):
    data = chats(train=4, validation=1, test=1)
    long = Conversation((Message("user", "word " * 200), Message("assistant", "Yes.")), 99)
    memory = Memory()
    fine_tune(replace(data, train=[*data.train, long]), SETTINGS, base, SEED, memory)
    assert any("row 99" in line for line in memory.lines)
    with pytest.raises(RecipeError, match="too long"):
        fine_tune(replace(data, train=[long]), SETTINGS, base, SEED, Memory())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (chats(train=0), "training split is empty"),
        (chats(test=0), "test split is empty"),
        (ChatData((), [Conversation((Message("user", "Hm?"),), 1)], [], chats().test), "assistant"),
    ],
    ids=["no training", "no test", "no answer"],
)
def test_data_that_nothing_can_be_learned_from_is_refused_before_any_work(data, message, base):
    memory = Memory()
    with pytest.raises(RecipeError, match=message):
        fine_tune(data, SETTINGS, base, SEED, memory)
    assert not memory.phases


def test_a_full_fine_tune_is_refused(base):
    with pytest.raises(SettingsError, match="LoRA"):
        fine_tune(chats(), FineTuneSettings(method=Method.FULL), base, SEED, Memory())


class Cancelled(Exception):
    """As the caller's."""


@pytest.mark.parametrize("after", [JobStatus.PREPARING, JobStatus.TRAINING, JobStatus.EVALUATING])
def test_what_a_beat_raises_stops_the_fine_tune_in_every_phase(after, base):
    class Stopping(Memory):
        def beat(self, progress, eta_seconds):
            if self.phases[-1] is after:
                raise Cancelled

    with pytest.raises(Cancelled):
        fine_tune(chats(train=4, validation=1, test=1), SETTINGS, base, SEED, Stopping())
