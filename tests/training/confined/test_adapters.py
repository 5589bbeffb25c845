"""An adapter's file is taken only where it is all that was asked for, and nothing more."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from core.catalogue import Task
from core.models.fine_tune_jobs import Method
from tests.training.confined.peers import BASE, LABELS, SETTINGS
from training.confined import adapters
from training.confined.errors import Refused
from training.recipe.settings import FineTuneSettings

QUERY = "encoder.layer.5.attention.self.query"
RANK, HIDDEN = SETTINGS.rank, BASE.hidden_size
METADATA = {
    "format": "adaptary-adapter/1",
    "task": "classification",
    "base_model": BASE.id,
    "base_digest": BASE.sha256,
    "method": "lora",
    "labels": json.dumps(list(LABELS)),
    "max_length": str(BASE.max_length),
    "rank": str(RANK),
    "alpha": "4",
}

Tensors = dict[str, npt.NDArray[Any]]


def numbers(*shape: int) -> npt.NDArray[np.float32]:
    return np.full(shape, 0.5, dtype=np.float32)


def tensors() -> Tensors:
    return {
        "head.weight": numbers(len(LABELS), HIDDEN),
        "head.bias": numbers(len(LABELS)),
        f"{QUERY}.lora_A.weight": numbers(RANK, HIDDEN),
        f"{QUERY}.lora_B.weight": numbers(HIDDEN, RANK),
    }


def refusal(
    changed: Tensors | None = None,
    metadata: dict[str, str] | None = None,
    settings: FineTuneSettings = SETTINGS,
) -> str | None:
    """Why the file is refused that differs from an honest one so; None where it is taken."""
    return refusal_of(save({**tensors(), **(changed or {})}, metadata=METADATA | (metadata or {})), settings)


def refusal_of(file: bytes, settings: FineTuneSettings = SETTINGS) -> str | None:
    try:
        adapters.check(file, Task.CLASSIFICATION, BASE, settings, LABELS)
    except Refused as refused:
        return refused.reason
    return None


def with_header(header: dict[str, Any], values: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + values


def test_one_that_is_as_asked_for_is_taken():
    assert refusal() is None


def test_a_fully_trained_one_holds_weights_of_its_base_in_their_shapes():
    full = FineTuneSettings(method=Method.FULL)
    metadata = {name: value for name, value in METADATA.items() if name not in ("rank", "alpha")} | {
        "method": "full"
    }
    head = {name: tensors()[name] for name in ("head.weight", "head.bias")}
    own = {f"base.{QUERY}.weight": numbers(HIDDEN, HIDDEN)}
    assert refusal_of(save({**head, **own}, metadata=metadata), full) is None
    wrong = {f"base.{QUERY}.weight": numbers(HIDDEN, 1)}
    assert refusal_of(save({**head, **wrong}, metadata=metadata), full) == "adapter_weights"
    assert refusal_of(save({**head, QUERY: numbers(1)}, metadata=metadata), full) == "adapter_weights"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"head.weight": numbers(3, HIDDEN)}, "adapter_head"),
        ({f"{QUERY}.lora_A.weight": numbers(RANK + 1, HIDDEN)}, "adapter_rank"),
        ({f"{QUERY}.lora_B.weight": numbers(RANK, HIDDEN)}, "adapter_rank"),
        ({"encoder.layer.4.output.dense.lora_A.weight": numbers(RANK, 4 * HIDDEN)}, "adapter_names"),
        ({"encoder.layer.99.output.dense.lora_A.weight": numbers(RANK, HIDDEN)}, "adapter_names"),
        ({"texts": numbers(1000)}, "adapter_names"),
        ({"head.bias": np.zeros(2, dtype=np.float64)}, "adapter_tensor"),
        ({"head.bias": np.array([0.5, np.nan], dtype=np.float32)}, "adapter_not_finite"),
        ({"head.bias": np.array([0.5, np.inf], dtype=np.float32)}, "adapter_not_finite"),
    ],
)
def test_one_whose_tensors_are_others_is_refused(changed, reason):
    assert refusal(changed) == reason


@pytest.mark.parametrize("name", sorted(set(METADATA) - {"alpha"}))
def test_one_that_says_something_else_of_itself_is_refused(name):
    assert refusal(metadata={name: "7"}) == "adapter_metadata"


def test_one_that_says_more_of_itself_is_refused():
    assert refusal(metadata={"note": "a tenant's text"}) == "adapter_metadata"


@pytest.mark.parametrize("alpha", ["", "-1", "0", "4.0", "inf", "100000000000"])
def test_one_that_is_scaled_beyond_measure_is_refused(alpha):
    assert refusal(metadata={"alpha": alpha}) == "adapter_alpha"


def test_one_that_hides_bytes_is_refused():
    file = save(tensors(), metadata=METADATA)
    assert refusal_of(file + b"hidden") == "adapter_layout"
    length = int.from_bytes(file[:8], "little")
    header, values = json.loads(file[8 : 8 + length]), file[8 + length :]
    header["head.bias"]["data_offsets"] = header["head.weight"]["data_offsets"][:1] * 2
    assert refusal_of(with_header(header, values)) == "adapter_layout"
    last = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    assert refusal_of(file[: 8 + length + last - 4]) == "adapter_layout"


@pytest.mark.parametrize(
    "file",
    [b"", b"\x00" * 8, (1 << 40).to_bytes(8, "little"), with_header({}, b""), b"\x02" + b"\0" * 7 + b"[]"],
)
def test_what_is_no_such_file_is_refused(file):
    assert refusal_of(file) is not None


@given(data=st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data):
    assert refusal_of(data) is not None
    assert refusal_of(len(data).to_bytes(8, "little") + data) is not None
