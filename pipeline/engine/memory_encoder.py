"""FRAME + MASK -> MEMORY: SAM 2's memory encoder for many objects at once.

Equal to the sam2 package's `MemoryEncoder` but for rounding. Channels come last, so that norms and
pointwise convolutions are plain matrix products; the frame's projection comes from the image encoder,
once for all objects; layer scale is folded into the weights before it.
"""

from typing import Any

import torch
from sam2.modeling.memory_encoder import CXBlock
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import nn

from pipeline.engine.folding import (
    ChannelNorm,
    FeedForward,
    NarrowNorm,
    channels_last,
    linear,
    pointwise,
    without_mean,
)
from pipeline.engine.packing import add_output


class MemoryEncoder(nn.Module):
    """Memories of any number of objects, for one size of frame."""

    def __init__(self, official: SAM2Base):
        super().__init__()
        encoder = official.memory_encoder
        *downsampling, last = encoder.mask_downsampler.encoder
        self.downsampling = nn.Sequential(
            *(
                part
                for conv, norm, activation in zip(*[iter(downsampling)] * 3, strict=True)
                for part in (*_normed(conv, norm), activation)
            )
        )
        self.last = pointwise(last)
        self.fuser = nn.ModuleList(_Fuse(block) for block in encoder.fuser.layers)
        self.out = pointwise(encoder.out_proj)
        self.scale, self.bias = official.sigmoid_scale_for_mem_enc, official.sigmoid_bias_for_mem_enc
        self.absent = official.no_obj_embed_spatial  # (1, memory channel), or None

    def forward(
        self, projection: torch.Tensor, probabilities: torch.Tensor, object_score: torch.Tensor
    ) -> torch.Tensor:
        """Return memories, (lane, token, memory channel).

        Args:
            projection: (lane, token, channel), the frame's part of it.
            probabilities: (lane, 1, image side, image side), how sure each pixel is the object's, 0 to 1.
            object_score: (lane, 1) logits; above 0 the object is there.
        """
        masks = (probabilities * self.scale + self.bias).to(projection.dtype)
        x = self.downsampling(masks).permute(0, 2, 3, 1)
        x = self.last(x) + projection.unflatten(1, x.shape[1:3])
        for block in self.fuser:
            x = block(x)
        memory = self.out(x).flatten(1, 2)
        if self.absent is None:
            return memory
        return memory + (object_score <= 0).to(memory.dtype)[..., None] * self.absent


def _normed(conv: nn.Conv2d, norm: LayerNorm2d) -> tuple[nn.Module, nn.Module]:
    if conv.out_channels < 16:
        return without_mean(conv), NarrowNorm(norm)
    return channels_last(conv), ChannelNorm(norm)


class _Fuse(nn.Module):
    """A ConvNeXt block over (lane, height, width, channel)."""

    def __init__(self, official: CXBlock):
        super().__init__()
        self.depthwise = channels_last(official.dwconv)
        self.norm = ChannelNorm(official.norm)
        gamma: Any = official.gamma
        last = official.pwconv2
        scaled = linear(gamma[:, None] * last.weight, gamma * last.bias)
        self.feed_forward = FeedForward(official.pwconv1, official.act, scaled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.norm(self.depthwise(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return add_output(x, self.feed_forward, mixed)
