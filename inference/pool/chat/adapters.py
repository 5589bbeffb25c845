"""Chat adapters: what an opened file holds, checked and laid out for the decoder."""

from dataclasses import dataclass

import torch

from core.catalogue import Task
from inference.pool.adapter_files import AdapterFile, InvalidAdapter
from inference.pool.chat.base import ChatBase
from inference.pool.chat.lora import STACK_RANKS, Change, JoinShape, LayerChanges
from inference.pool.chat.rope import interleaved

MAXIMUM_RANK = 256
_ROTATED = ("self_attn.q_proj", "self_attn.k_proj")


@dataclass(frozen=True, slots=True)
class ChatAdapter:
    """A tenant's trained changes of a chat base, by layer.

    `stack_rank` is the rank of the stack that its rows decode in; None where its own is too high for any.
    """

    digest: str
    base_id: str
    layers: tuple[LayerChanges, ...]
    stack_rank: int | None
    size_bytes: int

    @property
    def task(self) -> Task:
        return Task.CHAT


def lay_out(file: AdapterFile, base: ChatBase) -> ChatAdapter:
    """The adapter in `file`, for rows on `base`. Raises InvalidAdapter."""
    if file.task is not Task.CHAT:
        raise InvalidAdapter(f"The task {file.task} is not {Task.CHAT}.")
    if file.text("base_model") != base.id or file.text("base_digest") != base.digest:
        raise InvalidAdapter(f"The adapter was trained on other weights than the pool's {base.id}.")
    if file.text("method") != "lora":
        raise InvalidAdapter(f"The method {file.text('method')!r} is not lora.")
    scale = file.scale()
    shapes = base.decoder.joins
    layers = tuple(
        tuple(_change(file, f"model.layers.{layer}", shape, scale, base) for shape in shapes)
        for layer in range(base.decoder.config.layers)
    )
    file.nothing_left()
    changes = [change for layer in layers for change in layer if change is not None]
    rank = max((change.up.shape[1] for change in changes), default=1)
    if rank > MAXIMUM_RANK:
        raise InvalidAdapter(f"The adapter's rank {rank} is higher than {MAXIMUM_RANK}.")
    return ChatAdapter(
        digest=file.digest,
        base_id=base.id,
        layers=layers,
        stack_rank=next((stack for stack in STACK_RANKS if rank <= stack), None),
        size_bytes=sum(change.size_bytes for change in changes),
    )


def _change(file: AdapterFile, prefix: str, shape: JoinShape, scale: float, base: ChatBase) -> Change | None:
    """The changes of a join's maps as one, padded to the highest of their ranks; None if there are none."""
    found = [file.take_change(f"{prefix}.{name}", (shape.inputs, width)) for name, width in shape.maps]
    rank = max((len(pair[0]) for pair in found if pair is not None), default=0)
    if not rank:
        return None
    down = torch.zeros(shape.inputs, len(shape.maps), rank)
    up = torch.zeros(len(shape.owners), rank, shape.block)
    for index, ((name, _), pair) in enumerate(zip(shape.maps, found, strict=True)):
        if pair is None:
            continue
        a, b = pair
        if name in _ROTATED:
            b = interleaved(b, base.decoder.config.head_size)
        own = len(a)
        down[:, index, :own] = a.T
        blocks = (b * scale).view(-1, shape.block, own).transpose(1, 2)
        up[shape.owners == index, :own] = blocks
    return Change(down, up)
