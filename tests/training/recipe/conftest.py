"""A fine-tune of each method, done once for all tests that look at one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from core.models.fine_tune_jobs import Method
from tests.training.recipe.samples import BASE, Memory, messages
from training.recipe import encoder_measuring, encoder_run, schedule
from training.recipe.by_task import fine_tune
from training.recipe.result import Result
from training.recipe.settings import FineTuneSettings

SEED = 7


@pytest.fixture(autouse=True, scope="package")
def quick() -> Iterator[None]:
    """Batches of 8 rows, so that a few rows make several steps, and one thread: several on a busy machine wait for
    one another for longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_run, "ENCODER", replace(schedule.ENCODER, batch_rows=8))
        patch.setattr(encoder_measuring, "ENCODER", replace(schedule.ENCODER, batch_rows=8))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def lora(quick: None) -> tuple[Result, Memory]:
    memory = Memory()
    return fine_tune(messages(), FineTuneSettings(epochs=2), BASE, SEED, memory), memory


@pytest.fixture(scope="package")
def full(quick: None) -> tuple[Result, Memory]:
    memory = Memory()
    settings = FineTuneSettings(method=Method.FULL, epochs=1)
    return fine_tune(messages(train=4), settings, BASE, SEED, memory), memory
