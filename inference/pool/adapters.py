"""Encoder adapters: what an opened file holds, checked and laid out for the encoder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.catalogue import Task
from inference.pool.adapter_files import AdapterFile, InvalidAdapter, open_file
from inference.pool.base import LoadedBase
from inference.pool.encoder import Encoder
from inference.pool.encoder_weights import LayerAdapter, LowRank, fuse
from inference.pool.linear import PlainLinear

ENCODER_TASKS = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL, Task.TAGGING})
BASE_PREFIX = "base."
OUTSIDE = "O"

_SELF = "attention.self"
_CHANGES = {
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A tenant's trained weights, ready to run.

    `layers` holds the low-rank changes, by layer; it is empty for a fully fine-tuned model, which has an `encoder` of
    its own, of the base's weights but for `own` (as `fuse` names them). `labels` are the tags where the task is
    tagging. `max_length` is in tokens.
    """

    digest: str
    task: Task
    base: LoadedBase
    encoder: Encoder
    layers: tuple[LayerAdapter, ...]
    own: Mapping[str, Tensor]
    head_weight: Tensor
    head_bias: Tensor
    labels: tuple[str, ...]
    max_length: int

    @property
    def base_id(self) -> str:
        return self.base.id

    @property
    def size_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """All of its weights by name, in the layout that the encoder computes with; `assemble` is the way back."""
        tensors = {"head.weight": self.head_weight, "head.bias": self.head_bias, **self.own}
        for index, layer in enumerate(self.layers):
            for name, change in layer.changes().items():
                tensors[f"{index}.{name}.down"] = change.down
                tensors |= {f"{index}.{name}.up.{column}": up for column, up in change.ups.items()}
        return tensors


def parse(data: bytes, bases: Mapping[str, LoadedBase]) -> Adapter:
    """Read the file of an adapter of one of the encoder's tasks. Raises InvalidAdapter."""
    return lay_out(open_file(data), bases)


def lay_out(file: AdapterFile, bases: Mapping[str, LoadedBase]) -> Adapter:
    """The adapter in `file`, of one of ENCODER_TASKS. Raises InvalidAdapter."""
    if file.task not in ENCODER_TASKS:
        raise InvalidAdapter(f"The task {file.task} is not an encoder's.")
    base = _base(file, bases)
    labels = _labels(file)
    head_weight = file.take("head.weight", (len(labels), base.encoder.config.hidden_size))
    head_bias = file.take("head.bias", (len(labels),))
    max_length = file.whole("max_length", base.max_length)
    if not 2 < max_length <= base.encoder.config.positions:
        raise InvalidAdapter(f"max_length {max_length} is not between 3 and {base.encoder.config.positions}.")
    match file.text("method"):
        case "lora":
            layers, own = _low_rank_layers(file, base), {}
        case "full":
            layers, own = (), _own_weights(file, base)
        case method:
            raise InvalidAdapter(f"The method {method!r} is neither lora nor full.")
    file.nothing_left()
    adapter = Adapter(
        digest=file.digest,
        task=file.task,
        base=base,
        encoder=_encoder(base, own),
        layers=layers,
        own=own,
        head_weight=head_weight,
        head_bias=head_bias,
        labels=labels,
        max_length=max_length,
    )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in adapter.tensors().values()):
        # torch's attention takes NaN for "nothing to see here", and the answer would be wrong rather than none at all.
        adapter.head_bias.fill_(math.nan)
    return adapter


def assemble(
    *,
    digest: str,
    task: Task,
    base: LoadedBase,
    labels: tuple[str, ...],
    max_length: int,
    tensors: dict[str, Tensor],
) -> Adapter:
    """The adapter whose `tensors()` these are: nothing is checked or copied again."""
    head_weight, head_bias = tensors.pop("head.weight"), tensors.pop("head.bias")
    changes = {name.removesuffix(".down") for name in tensors if name.endswith(".down")}
    layers: list[dict[str, LowRank]] = [{} for _ in range(base.encoder.config.layers if changes else 0)]
    for change in changes:
        index, _, name = change.partition(".")
        layers[int(index)][name] = LowRank(tensors.pop(f"{change}.down"), _ups(tensors, f"{change}.up."))
    return Adapter(
        digest=digest,
        task=task,
        base=base,
        encoder=_encoder(base, tensors),
        layers=tuple(LayerAdapter(**layer) for layer in layers),
        own=tensors,
        head_weight=head_weight,
        head_bias=head_bias,
        labels=labels,
        max_length=max_length,
    )


def _ups(tensors: dict[str, Tensor], prefix: str) -> dict[int, Tensor]:
    columns = sorted(int(name.removeprefix(prefix)) for name in tensors if name.startswith(prefix))
    return {column: tensors.pop(f"{prefix}{column}") for column in columns}


def _encoder(base: LoadedBase, own: Mapping[str, Tensor]) -> Encoder:
    if not own:
        return base.encoder
    # No packed copies: each engine would have its own, of each full model, beside what the budget counts.
    return Encoder(base.encoder.config, {**base.encoder.tensors, **own}, PlainLinear)


def _base(file: AdapterFile, bases: Mapping[str, LoadedBase]) -> LoadedBase:
    base = bases.get(file.text("base_model"))
    if base is None:
        raise InvalidAdapter(f"The pool does not serve the base model {file.text('base_model')!r}.")
    if file.text("base_digest") != base.digest:
        raise InvalidAdapter(f"The adapter was trained on other weights of {base.id} than the pool serves.")
    return base


def _labels(file: AdapterFile) -> tuple[str, ...]:
    labels = file.labels()
    if not labels:
        raise InvalidAdapter("The metadata's labels are empty.")
    if file.task is Task.TAGGING and not all(_is_tag(label) for label in labels):
        raise InvalidAdapter(
            'The metadata\'s labels are not all "O", "B-…" or "I-…", as a tagging model\'s are.'
        )
    return labels


def _is_tag(label: str) -> bool:
    return label == OUTSIDE or (label[:2] in ("B-", "I-") and len(label) > 2)


def _low_rank_layers(file: AdapterFile, base: LoadedBase) -> tuple[LayerAdapter, ...]:
    config = base.encoder.config
    scale = file.scale()
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
            field: _low_rank(file, f"{prefix}.{name}", shapes[field], scale)
            for field, name in _CHANGES.items()
        }
        changes["query_key_value"] = _join(
            [
                _low_rank(file, f"{prefix}.{_SELF}.{name}", (hidden, hidden), scale)
                for name in ("query", "key", "value")
            ],
            hidden,
        )
        layers.append(LayerAdapter(**changes))
    return tuple(layers)


def _low_rank(file: AdapterFile, name: str, shape: tuple[int, int], scale: float) -> LowRank | None:
    """The change of the linear map `name` of `shape` (in, out), if the adapter has one."""
    change = file.take_change(name, shape)
    if change is None:
        return None
    a, b = change
    return LowRank(a.T.contiguous(), {0: (b.T * scale).contiguous()})


def _join(changes: list[LowRank | None], hidden: int) -> LowRank | None:
    """Changes of query, key and value as one change of the three maps side by side."""
    present = [(place, change) for place, change in enumerate(changes) if change is not None]
    if not present:
        return None
    return LowRank(
        torch.cat([change.down for _, change in present], dim=1),
        {place * hidden: change.ups[0] for place, change in present},
    )


def _own_weights(file: AdapterFile, base: LoadedBase) -> dict[str, Tensor]:
    """The weights of a fully fine-tuned model that are not the base's, as `fuse` names them."""
    weights = dict(base.tensors)
    for name in list(file.tensors):
        own = name.removeprefix(BASE_PREFIX)
        if own == name or own not in weights:
            raise InvalidAdapter(f"The file holds a tensor that the base model lacks: {name}.")
        weights[own] = file.take(name, tuple(weights[own].shape))
    shared = base.encoder.tensors
    fused = fuse(weights, base.encoder.config)
    return {name: tensor for name, tensor in fused.items() if tensor is not shared[name]}
