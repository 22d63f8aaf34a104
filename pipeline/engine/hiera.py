"""IMAGE -> MAPS: Hiera's forward pass over the sam2 package's blocks, with fewer copies.

The package cuts every map into windows and puts it together again in each block. Here tokens stay in
window order from block to block and move only where the window's size changes: all else in a block works
on single tokens, and attention over the whole image does not ask for their order. Where windows don't
divide a map, the package pads tokens with zeros before it projects them; here their projection, which
is its bias, is filled in instead. Hiera: https://arxiv.org/abs/2306.00989
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from sam2.modeling.backbones.hieradet import Hiera, MultiScaleBlock
from torch import nn

from pipeline.engine.packing import add_output


class Tokens(NamedTuple):
    """A square map whose tokens lie window by window, in raster order within and among them."""

    values: torch.Tensor  # (image, window, token, channel)
    side: int  # of the map
    window: int  # side of a window; the map's own side is plain raster order


class HieraForward(nn.Module):
    """What `Hiera.forward` computes, for one image size."""

    def __init__(self, hiera: Hiera, image_size_px: int):
        super().__init__()
        self.hiera = hiera
        side = image_size_px // hiera.patch_embed.proj.stride[0]
        self.position = nn.Buffer(hiera._get_pos_embed((side, side)).flatten(1, 2).detach().contiguous())

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return one map a stage, finest first, each (image, side, side, channel).

        Args:
            images: (image, 3, side, side), normalised.
        """
        values = self.hiera.patch_embed(images)
        side = values.shape[1]
        tokens = Tokens((values.flatten(1, 2) + self.position)[:, None], side, side)
        maps = []
        for i, block in enumerate(self.hiera.blocks):
            tokens = _run_block(cast(MultiScaleBlock, block), tokens)
            if i in self.hiera.stage_ends:
                maps.append(_raster(tokens))
        return maps


def _run_block(block: MultiScaleBlock, tokens: Tokens) -> Tokens:
    window = block.window_size
    padded = window and tokens.side % window
    if window:
        tokens = _in_windows(tokens, tokens.side if padded else window)
    normed = block.norm1(tokens.values)
    shortcut = tokens.values
    if block.dim != block.dim_out:
        shortcut = block.proj(normed)
    if block.q_stride:
        shortcut = _pool(shortcut, tokens.window)
        tokens = Tokens(shortcut, tokens.side // 2, tokens.window // 2)
    attend = _attend_padded if padded else _attend
    values = add_output(shortcut, block.attn.proj, attend(block, normed))
    values = add_output(values, block.mlp, block.norm2(values))
    return tokens._replace(values=values)


def _attend(block: MultiScaleBlock, normed: torch.Tensor) -> torch.Tensor:
    """Attend within each window, or over the whole image, however its tokens lie."""
    window = round(normed.shape[2] ** 0.5)
    return _attention(block, block.attn.qkv(normed), window)


def _attend_padded(block: MultiScaleBlock, normed: torch.Tensor) -> torch.Tensor:
    """Attend within windows that reach over the edge of a map in raster order."""
    window, side = block.window_size, round(normed.shape[2] ** 0.5)
    qkv = block.attn.qkv(normed)
    whole = -(-side // window) * window
    padded = block.attn.qkv.bias.expand(len(qkv), whole, whole, -1).clone()
    padded[:, :side, :side] = qkv[:, 0].unflatten(1, (side, side))
    values = _attention(block, _cut(padded, window), window)
    if block.q_stride:
        window, whole, side = window // 2, whole // 2, side // 2
    values = _raster(Tokens(values, whole, window))[:, :side, :side]
    return values.flatten(1, 2)[:, None]


def _attention(block: MultiScaleBlock, qkv: torch.Tensor, window: int) -> torch.Tensor:
    """Return (image, window, token, channel) from queries, keys and values side by side."""
    query, key, value = qkv.chunk(3, -1)
    if block.q_stride:
        query = _pool(query, window)
    together = (0, 1) if block.window_size else (1, 2)
    per_head = [
        x.flatten(*together).unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2)
        for x in (query, key, value)
    ]
    attended = F.scaled_dot_product_attention(per_head[0], per_head[1], per_head[2])
    return attended.transpose(1, 2).reshape(query.shape)


def _pool(x: torch.Tensor, window: int) -> torch.Tensor:
    """Keep the largest of every 2 x 2 tokens of (image, window, token, channel)."""
    x = x.unflatten(2, (-1, 2, window))
    rows = torch.maximum(x[:, :, :, 0], x[:, :, :, 1]).unflatten(-2, (-1, 2))
    return torch.maximum(rows[..., 0, :], rows[..., 1, :]).flatten(2, 3)


def _in_windows(tokens: Tokens, window: int) -> Tokens:
    if tokens.window == window:
        return tokens
    return Tokens(_cut(_raster(tokens), window), tokens.side, window)


def _cut(x: torch.Tensor, window: int) -> torch.Tensor:
    """Cut (image, side, side, channel) into (image, window, token, channel)."""
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _raster(tokens: Tokens) -> torch.Tensor:
    """Return (image, side, side, channel)."""
    count = tokens.side // tokens.window
    x = tokens.values.unflatten(2, (tokens.window, tokens.window)).unflatten(1, (count, count))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)
