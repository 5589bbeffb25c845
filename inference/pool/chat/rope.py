"""Rotary positions (Su et al., "RoFormer", 2021), as a product of complex numbers.

The model's files keep the two coordinates of a rotation half a head apart. Here they lie side by side, as real and
imaginary part, so that one product rotates all heads of all tokens. Rows of the query's and the key's maps are put into
that order when they are loaded; the products of queries with keys are the same.
"""

import torch
from torch import Tensor


def rotations(positions: int, head_size: int, theta: float) -> Tensor:
    """[positions, 1, head_size / 2], complex: what the pairs of a head at each position are multiplied with."""
    frequencies = theta ** -(torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
    return torch.polar(torch.ones_like(angles), angles).unsqueeze(1)


def interleaved(rows: Tensor, head_size: int) -> Tensor:
    """`rows` [heads · head_size, …] of a query's or a key's map, with the pairs of each head side by side."""
    halves = rows.view(-1, 2, head_size // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def rotate(heads: Tensor, by: Tensor) -> None:
    """Rotate `heads` [tokens, heads, head_size] in place, by `rotations` of each token's position."""
    torch.view_as_complex(heads.unflatten(-1, (-1, 2))).mul_(by)
