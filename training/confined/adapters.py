"""An adapter's file from the process that trains: taken only where it is all that was asked for and nothing more.

The file is read here without torch, and nothing in it is executed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from core.catalogue import WEIGHTS_FILE, BaseModel, Task
from core.models.fine_tune_jobs import Method
from training.confined.errors import Refused
from training.confined.frames import Malformed, strict_json
from training.recipe.settings import FineTuneSettings

MAX_BYTES = 512 << 20

_FORMAT = "adaptary-adapter/1"
_MAX_HEADER_BYTES = 4 << 20
_MAX_ALPHA = 1024
_CHANGE = re.compile(r"(?P<map>[a-z0-9_.]{1,200})\.lora_(?P<side>[AB])\.weight")
_OWN = "base."

Shapes = Mapping[str, tuple[int, ...]]


def check(
    file: bytes, task: Task, base: BaseModel, settings: FineTuneSettings, labels: Sequence[str]
) -> None:
    """Raises Refused unless `file` is an adapter of `base` for `task` and `labels` as `settings` ask for it.

    Its tensors are finite numbers of 32 bits which fill the file to its last byte, each of a name and shape that follow
    from the base's own weights, and from the rank or the labels.
    """
    header, values = _open(file)
    outputs = _outputs(task, labels)
    _check_metadata(header.pop("__metadata__", None), task, base, settings, outputs)
    found = _shapes(header, len(values))
    own = _base_shapes(base)
    if task is not Task.CHAT:
        head = {"head.weight": (len(outputs), base.hidden_size), "head.bias": (len(outputs),)}
        if any(found.pop(name, None) != shape for name, shape in head.items()):
            raise Refused("adapter_head")
    if settings.method is Method.LORA:
        _check_changes(found, own, settings.rank)
    elif any(
        own.get(name.removeprefix(_OWN)) != shape or not name.startswith(_OWN)
        for name, shape in found.items()
    ):
        raise Refused("adapter_weights")
    if not found:
        raise Refused("adapter_empty")
    if not np.isfinite(np.frombuffer(values, dtype="<f4")).all():
        raise Refused("adapter_not_finite")


def _open(file: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header of a safetensors file, and the bytes of its tensors."""
    length = int.from_bytes(file[:8], "little")
    if not 2 <= length <= min(len(file) - 8, _MAX_HEADER_BYTES):
        raise Refused("adapter_header")
    try:
        header = strict_json(file[8 : 8 + length])
    except Malformed:
        raise Refused("adapter_header") from None
    if not isinstance(header, dict):
        raise Refused("adapter_header")
    return header, memoryview(file)[8 + length :]


def _outputs(task: Task, labels: Sequence[str]) -> Sequence[str]:
    """What the head has an output for."""
    if task is Task.TAGGING:
        from training.recipe.tagging.entities import bio_tags

        return bio_tags(labels)
    return [] if task is Task.CHAT else labels


def _check_metadata(
    metadata: object, task: Task, base: BaseModel, settings: FineTuneSettings, outputs: Sequence[str]
) -> None:
    expected = {
        "format": _FORMAT,
        "task": task.value,
        "base_model": base.id,
        "base_digest": base.sha256,
        "method": settings.method.value,
        "labels": json.dumps(list(outputs), ensure_ascii=False),
        "max_length": str(base.max_length),
    }
    if not isinstance(metadata, dict):
        raise Refused("adapter_metadata")
    if settings.method is Method.LORA:
        expected["rank"] = str(settings.rank)
        alpha = str(metadata.pop("alpha", ""))
        if not alpha.isascii() or not alpha.isdecimal() or not 0 < int(alpha[:6]) <= _MAX_ALPHA:
            raise Refused("adapter_alpha")
    if metadata != expected:
        raise Refused("adapter_metadata")


def _shapes(header: Mapping[str, Any], size: int) -> dict[str, tuple[int, ...]]:
    """The tensors' shapes by name. Between them, and after the last, there is nothing."""
    shapes, places = {}, []
    for name, entry in header.items():
        match entry:
            case {"dtype": "F32", "shape": [*shape], "data_offsets": [int(start), int(end)], **rest} if (
                not rest
            ):
                if not shape or not all(type(length) is int and 0 < length < 1 << 31 for length in shape):
                    raise Refused("adapter_shape")
                if end - start != 4 * prod(shape):
                    raise Refused("adapter_layout")
                shapes[name] = tuple(shape)
                places.append((start, end))
            case _:
                raise Refused("adapter_tensor")
    places.sort()
    starts, ends = [0, *(end for _, end in places)], [*(start for start, _ in places), size]
    if starts != ends:
        raise Refused("adapter_layout")
    return shapes


def _check_changes(found: Shapes, base: Shapes, rank: int) -> None:
    """Each low-rank change is whole: A [rank, in] and B [out, rank] of a linear map [out, in] of the base."""
    for name, shape in found.items():
        change = _CHANGE.fullmatch(name)
        linear = base.get(f"{change['map']}.weight", ()) if change else ()
        if change is None or len(linear) != 2:
            raise Refused("adapter_names")
        other = "B" if change["side"] == "A" else "A"
        if f"{change['map']}.lora_{other}.weight" not in found:
            raise Refused("adapter_names")
        if shape != ((rank, linear[1]) if change["side"] == "A" else (linear[0], rank)):
            raise Refused("adapter_rank")


def _base_shapes(base: BaseModel) -> Shapes:
    """The shapes of the base's own weights, by name."""
    with (base.folder() / WEIGHTS_FILE).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
