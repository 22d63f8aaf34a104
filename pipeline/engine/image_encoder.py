"""IMAGES -> FEATURES: Hiera and its neck, for several frames of any videos at once.

The neck's finest two maps go straight to the mask decoder's convolutions, so each pair of layers is one
here. Maps come out in the decoder's order: each token of the coarsest map with its 4 and 16 pixels.
"""

from typing import NamedTuple

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import nn

from pipeline.engine.folding import chained, pointwise
from pipeline.engine.hiera import HieraForward


class ImageMaps(NamedTuple):
    """What the mask decoder and the memory read of frames."""

    embedding: torch.Tensor  # (frame, token, channel), the coarsest
    middle: torch.Tensor  # (frame, token, 4, channel / 4)
    fine: torch.Tensor  # (frame, token, 16, channel / 8)


class ImageEncoder(nn.Module):
    """Hiera and neck, for one image size."""

    def __init__(self, official: SAM2Base):
        super().__init__()
        self.trunk = HieraForward(official.image_encoder.trunk, official.image_size)
        levels = [pointwise(level.conv) for level in official.image_encoder.neck.convs]
        self.coarsest, self.coarse, middle, fine = levels
        self.middle = chained(middle, pointwise(official.sam_mask_decoder.conv_s1))
        self.fine = chained(fine, pointwise(official.sam_mask_decoder.conv_s0))

    def forward(self, images: torch.Tensor) -> ImageMaps:
        """Encode (frame, 3, side, side) normalised images."""
        fine, middle, coarse, coarsest = self.trunk(images)
        top_down = self.coarsest(coarsest).repeat_interleave(2, 1).repeat_interleave(2, 2)
        embedding = self.coarse(coarse) + top_down
        middle, fine = _by_token(self.middle(middle), 1), _by_token(self.fine(fine), 2)
        return ImageMaps(embedding.flatten(1, 2), middle, fine)


def _by_token(x: torch.Tensor, halvings: int) -> torch.Tensor:
    """Order (frame, side, side, channel) as (frame, token, pixel of the token, channel)."""
    side = x.shape[1] >> halvings
    for axis in (2, 1):
        x = x.unflatten(axis, (side, *[2] * halvings))
    rows, columns = range(2, 2 + halvings), range(3 + halvings, 3 + 2 * halvings)
    pixels = [axis for pair in zip(rows, columns, strict=True) for axis in pair]
    x = x.permute(0, 1, 2 + halvings, *pixels, -1)
    return x.flatten(3, -2).flatten(1, 2)
