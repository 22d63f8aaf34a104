"""Rotary position encoding in real numbers.

The sam2 package multiplies pairs of neighbouring channels as complex numbers (`apply_rotary_enc`). The
same in real numbers is x * cosine + partner(x) * sine, where a pair's partner is (-second, first).
"""

from typing import NamedTuple

import torch
from sam2.modeling.position_encoding import compute_axial_cis
from torch import nn

from pipeline.engine.folding import linear


class Turns(NamedTuple):
    """How far each channel of each token is turned, both (token, channel)."""

    cosines: torch.Tensor
    sines: torch.Tensor


def turns_of(channels: int, side: int) -> Turns:
    """Return the turns of a square of tokens in raster order."""
    turns = compute_axial_cis(dim=channels, end_x=side, end_y=side)
    return Turns(turns.real.repeat_interleave(2, -1), turns.imag.repeat_interleave(2, -1))


class RotatedLinear(nn.Module):
    """A projection whose output is rotated by where its tokens are in the frame.

    A second projection gives each channel its partner, which costs less than to pick partners out of a
    tensor in memory.
    """

    def __init__(self, projection: nn.Linear, scale: float = 1.0):
        super().__init__()
        self.plain = linear(projection.weight * scale, projection.bias * scale)
        self.partner = linear(_partners(self.plain.weight), _partners(self.plain.bias))

    def forward(self, x: torch.Tensor, turns: Turns) -> torch.Tensor:
        """Project and rotate (.., token, channel)."""
        return self.plain(x).mul_(turns.cosines).addcmul_(self.partner(x), turns.sines)


def _partners(rows: torch.Tensor) -> torch.Tensor:
    """Return for rows (first, second) of every pair (-second, first)."""
    first, second = rows[0::2], rows[1::2]
    return torch.stack([-second, first], 1).flatten(0, 1)
