"""FRAME + MEMORIES -> FRAME AS ITS OBJECTS' PAST SHOWS IT: SAM 2's memory attention, by exact algebra.

Equal to the sam2 package's `MemoryAttention` but for rounding, at two thirds of its work:

- Values are absorbed. With one head and unrotated values, softmax(..) (M Wv + bv) Wo + bo equals
  (softmax(..) M) (Wv Wo) + (bv Wo + bo), since a row of a softmax sums to 1. So attention runs over the
  raw memories, a quarter as wide.
- What does not depend on the object, the first layer up to its query, is computed once a frame.
- Scales and permutations of channels are folded into weights; rotations are real.
"""

from typing import Any, NamedTuple

import torch
from sam2.modeling.memory_attention import MemoryAttention as OfficialMemoryAttention
from sam2.modeling.memory_attention import MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from torch import nn

from pipeline.engine.attention import attend, parts_of
from pipeline.engine.folding import FeedForward, chained
from pipeline.engine.packing import add_output
from pipeline.engine.rotary import RotatedLinear, Turns, turns_of


class Memories(NamedTuple):
    """What lanes look back at."""

    keys: torch.Tensor  # (lane, key, memory channel): memories and then pointers, with their positions
    values: torch.Tensor  # (lane, key, memory channel): the same without positions
    spatial: int  # how many of the keys, from the first, have a place in the frame


class MemoryAttention(nn.Module):
    """All layers, for one size of frame."""

    def __init__(self, official: OfficialMemoryAttention, position: torch.Tensor, side: int):
        """Build from the package's module.

        Args:
            official: In fp32.
            position: (token, channel), the frame's own position encoding.
            side: Of a frame, in tokens.
        """
        super().__init__()
        layers: Any = official.layers
        self.layers: Any = nn.ModuleList(_Layer(layer) for layer in layers)
        self.norm = official.norm
        cosines, sines = turns_of(official.d_model, side)
        self.cosines, self.sines = nn.Buffer(cosines), nn.Buffer(sines)
        self.position = nn.Buffer(0.1 * position if official.pos_enc_at_input else torch.zeros_like(position))

    def first_query(self, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the first layer up to where memories come in: all objects of a frame share that.

        Args:
            embeddings: (frame, token, channel).

        Returns:
            The layer's values, and its query to memories, rotated and scaled; of the same shape.
        """
        values = self.layers[0].attend_self(embeddings + self.position, self._turns)
        return values, self.layers[0].query(values, self._turns)

    def forward(self, values: torch.Tensor, query: torch.Tensor, memories: Memories) -> torch.Tensor:
        """Go on from `first_query`; return (lane, token, channel)."""
        for i, layer in enumerate(self.layers):
            if i:
                values = layer.attend_self(values, self._turns)
                query = layer.query(values, self._turns)
            values = layer.attend_memories(values, query, memories, self._turns)
        return self.norm(values)

    @property
    def _turns(self) -> Turns:
        return Turns(self.cosines, self.sines)


class _Layer(nn.Module):
    """One layer, its weights folded together."""

    def __init__(self, official: MemoryAttentionLayer):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = official.norm1, official.norm2, official.norm3
        self.feed_forward = FeedForward(official.linear1, nn.ReLU(), official.linear2)
        own: Any = official.self_attn
        cross: Any = official.cross_attn_image
        self.own_query, self.own_key = RotatedLinear(own.q_proj, _scale(own)), RotatedLinear(own.k_proj)
        self.own_value, self.own_out = own.v_proj, own.out_proj
        self.cross_query = RotatedLinear(cross.q_proj, _scale(cross))
        self.cross_key = RotatedLinear(cross.k_proj)
        self.cross_out = chained(cross.v_proj, cross.out_proj)

    def attend_self(self, values: torch.Tensor, turns: Turns) -> torch.Tensor:
        normed = self.norm1(values)
        query, key = self.own_query(normed, turns), self.own_key(normed, turns)
        return add_output(values, self.own_out, attend(query, key, self.own_value(normed)))

    def query(self, values: torch.Tensor, turns: Turns) -> torch.Tensor:
        return self.cross_query(self.norm2(values), turns)

    def attend_memories(
        self, values: torch.Tensor, query: torch.Tensor, memories: Memories, turns: Turns
    ) -> torch.Tensor:
        seen = []
        scores = query.shape[1] * memories.keys.shape[1]
        for part in parts_of(len(query), scores, query.device):
            key = self._keys(memories.keys[part], memories.spatial, turns)
            seen.append(attend(query[part], key, memories.values[part]))
        values = add_output(values, self.cross_out, torch.cat(seen))
        return add_output(values, self.feed_forward, self.norm3(values))

    def _keys(self, memories: torch.Tensor, spatial: int, turns: Turns) -> torch.Tensor:
        """Return all keys, the spatial ones rotated, each memory like a frame of its own."""
        plain, partner = self.cross_key.plain(memories), self.cross_key.partner(memories[:, :spatial])
        in_space = (len(plain), -1, *turns.cosines.shape)
        plain[:, :spatial].view(in_space).mul_(turns.cosines).addcmul_(partner.view(in_space), turns.sines)
        return plain


def _scale(attention: RoPEAttention) -> float:
    """Return the softmax's scale, which goes into the weights of queries."""
    return attention.q_proj.out_features**-0.5
