"""Files of adapters as training writes them: opened, and taken apart by checks that every task shares.

The format is adaptary-adapter/1: safetensors, which holds numbers and strings only, so that nothing in a file is ever
executed. What a task's file must hold beyond this is checked where that task's adapters are laid out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from core.catalogue import Task

FORMAT = "adaptary-adapter/1"


class InvalidAdapter(Exception):
    """The file is not an adapter that this pool can serve; the message says why."""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A file that is open. `take` removes what is read from `tensors` (fp32), so that what nobody knows is left over.

    `digest` is the SHA-256 of the whole file, in hex.
    """

    digest: str
    task: Task
    metadata: Mapping[str, str]
    tensors: dict[str, Tensor]

    def text(self, name: str) -> str:
        """The metadata's `name`; empty if it has none."""
        return self.metadata.get(name, "")

    def labels(self) -> tuple[str, ...]:
        """The metadata's labels, in order, each once; none at all are fine here. Raises InvalidAdapter."""
        try:
            labels = json.loads(self.text("labels"))
        except ValueError:
            labels = None
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise InvalidAdapter("The metadata's labels are not a JSON list of strings.")
        if len(set(labels)) != len(labels):
            raise InvalidAdapter("The metadata names a label twice.")
        return tuple(labels)

    def whole(self, name: str, default: int) -> int:
        """The metadata's `name` as a whole number. Raises InvalidAdapter."""
        value = self.metadata.get(name, str(default))
        if not value.isascii() or not value.isdecimal():
            raise InvalidAdapter(f"The metadata's {name} is not a whole number.")
        return int(value)

    def scale(self) -> float:
        """What a low-rank change is multiplied with: alpha by rank. Raises InvalidAdapter."""
        rank = self.whole("rank", 0)
        try:
            alpha = float(self.text("alpha"))
        except ValueError:
            raise InvalidAdapter("The metadata's alpha is not a number.") from None
        if rank < 1:
            raise InvalidAdapter("The metadata's rank is not positive.")
        return alpha / rank

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor `name`, removed from the file. Raises InvalidAdapter unless it has `shape`."""
        tensor = self.tensors.pop(name, None)
        if tensor is None:
            raise InvalidAdapter(f"The file lacks {name}.")
        if tuple(tensor.shape) != shape:
            raise InvalidAdapter(f"{name} has the shape {tuple(tensor.shape)} where {shape} is expected.")
        return tensor

    def take_change(self, name: str, shape: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
        """The low-rank change of the linear map `name` of `shape` (in, out): A [rank, in] and B [out, rank].

        None if the adapter has none. Raises InvalidAdapter.
        """
        a_name, b_name = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        if a_name not in self.tensors and b_name not in self.tensors:
            return None
        a = self.tensors.get(a_name)
        rank = len(a) if a is not None and a.ndim else 0
        return self.take(a_name, (rank, shape[0])), self.take(b_name, (shape[1], rank))

    def nothing_left(self) -> None:
        """Raises InvalidAdapter if the file holds a tensor that nobody took."""
        if self.tensors:
            raise InvalidAdapter(f"The file holds a tensor that the pool does not know: {min(self.tensors)}.")


def open_file(data: bytes) -> AdapterFile:
    """Open an adapter's file. Raises InvalidAdapter."""
    try:
        tensors = {name: tensor.float() for name, tensor in load(data).items()}
        metadata = _metadata(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InvalidAdapter(f"The file is not safetensors: {error}") from None
    if metadata.get("format") != FORMAT:
        raise InvalidAdapter(f"The file's format is {metadata.get('format')!r}, not {FORMAT}.")
    if metadata.get("task") not in list(Task):
        raise InvalidAdapter(f"The pool does not know the file's task {metadata.get('task')!r}.")
    return AdapterFile(sha256(data).hexdigest(), Task(metadata["task"]), metadata, tensors)


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__")
    if not isinstance(metadata, dict):
        raise ValueError("it has no metadata")
    return metadata
