"""A tiny chat base with random weights, and models on it."""

from pathlib import Path

import pytest
import torch

from inference.pool.chat.base import ChatBase
from tests.inference.chat.references import ALL_TARGETS, ChatReference, tiny_base, tiny_folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def base(folder: Path) -> ChatBase:
    torch.set_num_threads(1)
    return tiny_base(folder)


@pytest.fixture(scope="session")
def plain(folder: Path) -> ChatReference:
    """The base itself."""
    return ChatReference(folder)


@pytest.fixture(scope="session")
def tuned(folder: Path) -> ChatReference:
    """A model whose adapter changes every map."""
    return ChatReference(folder, targets=ALL_TARGETS, rank=16, seed=1)


@pytest.fixture(scope="session")
def references(folder: Path, plain: ChatReference, tuned: ChatReference) -> list[ChatReference]:
    """Models of several shapes: ranks of every stack and of none, some maps, some layers, none at all."""
    return [
        plain,
        tuned,
        ChatReference(folder, targets=("q_proj", "v_proj"), rank=8, seed=2),
        ChatReference(folder, targets=ALL_TARGETS, rank=5, seed=3),
        ChatReference(folder, targets=("k_proj", "o_proj", "up_proj"), layers=[1], rank=12, seed=4),
        ChatReference(folder, targets=("gate_proj", "down_proj"), rank=32, seed=5),
        ChatReference(folder, targets=ALL_TARGETS, rank=40, seed=6),
    ]
