"""What is no adapter of this base's is refused, with the reason."""

import pytest
import torch

from inference.pool.adapter_files import InvalidAdapter, open_file
from inference.pool.chat.adapters import lay_out
from inference.pool.chat.base import ChatBase
from tests.inference.chat.references import ChatReference


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"task": "classification"}, "not chat"),
        ({"base_model": "another"}, "other weights"),
        ({"base_digest": "1" * 64}, "other weights"),
        ({"method": "full"}, "not lora"),
        ({"rank": "0"}, "rank is not positive"),
        ({"alpha": "many"}, "alpha is not a number"),
    ],
)
def test_metadata_of_another_kind_are_refused(
    base: ChatBase, tuned: ChatReference, metadata: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidAdapter, match=message):
        lay_out(open_file(tuned.file(None, **metadata)), base)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("model.layers.0.self_attn.q_proj.lora_A.weight", (16, 63), "shape"),
        ("model.layers.0.mlp.up_proj.lora_B.weight", (96, 15), "shape"),
        ("model.layers.9.self_attn.q_proj.lora_A.weight", (16, 64), "does not know"),
        ("lm_head.weight", (2, 2), "does not know"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    base: ChatBase, tuned: ChatReference, name: str, shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(InvalidAdapter, match=message):
        lay_out(open_file(tuned.file({name: torch.zeros(shape)})), base)


def test_a_rank_that_would_slow_everybody_is_refused(base: ChatBase, tuned: ChatReference) -> None:
    prefix = "model.layers.0.self_attn.q_proj"
    high = {f"{prefix}.lora_A.weight": torch.zeros(300, 64), f"{prefix}.lora_B.weight": torch.zeros(64, 300)}
    with pytest.raises(InvalidAdapter, match="higher than 256"):
        lay_out(open_file(tuned.file(high)), base)
