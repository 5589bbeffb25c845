"""Adapters: the file that training writes, checked and laid out for the encoder, and the cache that holds
them."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from inference.pool.base import LoadedBase
from inference.pool.encoder import Encoder, LayerAdapter, LowRank

FORMAT = "adaptary-adapter/1"
TASK = "classification"
BASE_PREFIX = "base."

_SELF = "attention.self"
_CHANGES = {
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}


class InvalidAdapter(Exception):
    """The file is not an adapter that this pool can serve; the message says why."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A tenant's trained weights, ready to run.

    `encoder` is the shared base's, or for a fully fine-tuned model its own; `layers` holds the low-rank
    changes, and is empty for a full model. `max_length` is in tokens.
    """

    digest: str
    base: LoadedBase
    encoder: Encoder
    layers: tuple[LayerAdapter, ...]
    head_weight: Tensor
    head_bias: Tensor
    labels: tuple[str, ...]
    max_length: int
    size_bytes: int


def parse(data: bytes, bases: Mapping[str, LoadedBase]) -> Adapter:
    """Read an adapter's file. Nothing in it is executed: safetensors holds numbers and strings only.

    Raises InvalidAdapter.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in load(data).items()}
        metadata = _metadata(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InvalidAdapter(f"The file is not safetensors: {error}") from None
    if metadata.get("format") != FORMAT or metadata.get("task") != TASK:
        raise InvalidAdapter(f"The file's format is not {FORMAT} for {TASK}.")
    base = bases.get(metadata.get("base_model", ""))
    if base is None:
        raise InvalidAdapter(f"The pool does not serve the base model {metadata.get('base_model')!r}.")
    if metadata.get("base_digest") != base.digest:
        raise InvalidAdapter(f"The adapter was trained on other weights of {base.id} than the pool serves.")
    labels = _labels(metadata)
    hidden = base.encoder.config.hidden_size
    head_weight = _take(tensors, "head.weight", (len(labels), hidden))
    head_bias = _take(tensors, "head.bias", (len(labels),))
    max_length = _whole(metadata, "max_length", base.max_length)
    if not 2 < max_length <= base.encoder.config.positions:
        raise InvalidAdapter(f"max_length {max_length} is not between 3 and {base.encoder.config.positions}.")
    encoder = base.encoder
    layers: tuple[LayerAdapter, ...] = ()
    size = head_weight.nbytes + head_bias.nbytes
    match metadata.get("method"):
        case "lora":
            layers = _low_rank_layers(tensors, metadata, base)
            size += sum(layer.size_bytes for layer in layers)
        case "full":
            encoder = _full_encoder(tensors, base)
            size += sum(tensor.nbytes for tensor in tensors.values())
            tensors = {}
        case method:
            raise InvalidAdapter(f"The method {method!r} is neither lora nor full.")
    if tensors:
        raise InvalidAdapter(f"The file holds a tensor that the pool does not know: {min(tensors)}.")
    return Adapter(
        digest=sha256(data).hexdigest(),
        base=base,
        encoder=encoder,
        layers=layers,
        head_weight=head_weight,
        head_bias=head_bias,
        labels=labels,
        max_length=max_length,
        size_bytes=size,
    )


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__")
    if not isinstance(metadata, dict):
        raise ValueError("it has no metadata")
    return metadata


def _labels(metadata: Mapping[str, str]) -> tuple[str, ...]:
    try:
        labels = json.loads(metadata.get("labels", ""))
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise InvalidAdapter("The metadata's labels are not a JSON list of strings.")
    if len(set(labels)) != len(labels):
        raise InvalidAdapter("The metadata names a label twice.")
    return tuple(labels)


def _whole(metadata: Mapping[str, str], name: str, default: int) -> int:
    value = metadata.get(name, str(default))
    if not value.isascii() or not value.isdecimal():
        raise InvalidAdapter(f"The metadata's {name} is not a whole number.")
    return int(value)


def _scale(metadata: Mapping[str, str]) -> float:
    rank = _whole(metadata, "rank", 0)
    try:
        alpha = float(metadata.get("alpha", ""))
    except ValueError:
        raise InvalidAdapter("The metadata's alpha is not a number.") from None
    if rank < 1:
        raise InvalidAdapter("The metadata's rank is not positive.")
    return alpha / rank


def _take(tensors: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """Remove `name` from `tensors` and return it. Raises InvalidAdapter unless it has `shape`."""
    tensor = tensors.pop(name, None)
    if tensor is None:
        raise InvalidAdapter(f"The file lacks {name}.")
    if tuple(tensor.shape) != shape:
        raise InvalidAdapter(f"{name} has the shape {tuple(tensor.shape)} where {shape} is expected.")
    return tensor


def _low_rank_layers(
    tensors: dict[str, Tensor], metadata: Mapping[str, str], base: LoadedBase
) -> tuple[LayerAdapter, ...]:
    config = base.encoder.config
    scale = _scale(metadata)
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes = {
        "attention_output": (hidden, hidden),
        "intermediate": (hidden, inner),
        "output": (inner, hidden),
    }
    layers = []
    for index in range(config.layers):
        prefix = f"encoder.layer.{index}"
        changes: dict[str, Any] = {
            field: _low_rank(tensors, f"{prefix}.{name}", shapes[field], scale)
            for field, name in _CHANGES.items()
        }
        changes["query_key_value"] = _join(
            [
                _low_rank(tensors, f"{prefix}.{_SELF}.{name}", (hidden, hidden), scale)
                for name in ("query", "key", "value")
            ],
            hidden,
        )
        layers.append(LayerAdapter(**changes))
    return tuple(layers)


def _low_rank(tensors: dict[str, Tensor], name: str, shape: tuple[int, int], scale: float) -> LowRank | None:
    """The change of the linear map `name` of `shape` (in, out), if the adapter has one."""
    a_name, b_name = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
    if a_name not in tensors and b_name not in tensors:
        return None
    rank = len(tensors[a_name]) if a_name in tensors and tensors[a_name].ndim else 0
    down = _take(tensors, a_name, (rank, shape[0]))
    up = _take(tensors, b_name, (shape[1], rank))
    return LowRank(down.T.contiguous(), (up.T * scale).contiguous())


def _join(changes: list[LowRank | None], hidden: int) -> LowRank | None:
    """Changes of query, key and value as one change of the three maps side by side."""
    present = [(place, change) for place, change in enumerate(changes) if change is not None]
    if not present:
        return None
    up = torch.zeros(sum(len(change.up) for _, change in present), hidden * len(changes))
    row = 0
    for place, change in present:
        up[row : row + len(change.up), place * hidden : (place + 1) * hidden] = change.up
        row += len(change.up)
    return LowRank(torch.cat([change.down for _, change in present], dim=1), up)


def _full_encoder(tensors: dict[str, Tensor], base: LoadedBase) -> Encoder:
    """An encoder with the file's weights, and the base's own where the file has none."""
    weights = dict(base.tensors)
    for name, tensor in tensors.items():
        own = name.removeprefix(BASE_PREFIX)
        if own == name or own not in weights:
            raise InvalidAdapter(f"The file holds a tensor that the base model lacks: {name}.")
        if tensor.shape != weights[own].shape:
            raise InvalidAdapter(
                f"{name} has the shape {tuple(tensor.shape)}, the base's {tuple(weights[own].shape)}."
            )
        weights[own] = tensor
    return Encoder(base.encoder.config, weights)


class AdapterCache:
    """Adapters in memory by tenant and digest; the least recently used leave when their bytes pass the
    budget.

    Keyed by tenant too, so that no tenant can learn from an answer's speed what another one has loaded.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.size_bytes = 0
        self._adapters: OrderedDict[tuple[str, str], Adapter] = OrderedDict()

    def find(self, tenant: str, digest: str) -> Adapter | None:
        adapter = self._adapters.get((tenant, digest))
        if adapter is not None:
            self._adapters.move_to_end((tenant, digest))
        return adapter

    def add(self, tenant: str, adapter: Adapter) -> None:
        """Keep `adapter` and let the least recently used go. Work that holds one that goes still runs.

        Raises InvalidAdapter for an adapter that is larger than the whole budget.
        """
        if adapter.size_bytes > self.budget_bytes:
            raise InvalidAdapter(
                f"The adapter takes {adapter.size_bytes} bytes and the pool keeps {self.budget_bytes}: "
                "raise POOL_ADAPTER_BYTES."
            )
        previous = self._adapters.pop((tenant, adapter.digest), None)
        self.size_bytes += adapter.size_bytes - (previous.size_bytes if previous else 0)
        self._adapters[tenant, adapter.digest] = adapter
        while self.size_bytes > self.budget_bytes:
            _, oldest = self._adapters.popitem(last=False)
            self.size_bytes -= oldest.size_bytes

    def __len__(self) -> int:
        return len(self._adapters)

    def resident(self) -> list[tuple[str, Adapter]]:
        """Tenants and their adapters, least recently used first."""
        return [(tenant, adapter) for (tenant, _), adapter in self._adapters.items()]
