"""The parts of SAM 2 that every tracked frame goes through, folded, of one type, on one device.

shared = network.encode(images)                             once a frame
memories = network.look_back(...)                           once an object and frame
recalled = network.recall(shared, memories)
output = network.decode(shared, recalled)
memory = network.remember(shared, probabilities, score)
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import nn

from pipeline.engine.candidates import Candidates, HeadOutput
from pipeline.engine.folding import pointwise
from pipeline.engine.image_encoder import ImageEncoder
from pipeline.engine.mask_decoder import MaskDecoder
from pipeline.engine.memory_attention import Memories, MemoryAttention
from pipeline.engine.memory_encoder import MemoryEncoder


class Shared(NamedTuple):
    """What all objects of a frame share; of one frame, or of several with a dimension in front."""

    embedding: torch.Tensor  # (token, channel), the coarsest map
    middle: torch.Tensor  # (token, 4, channel / 4)
    fine: torch.Tensor  # (token, 16, channel / 8)
    attended: torch.Tensor  # (token, channel), after the first self-attention
    query: torch.Tensor  # (token, channel), the first question to memories
    memory_projection: torch.Tensor  # (token, channel), the frame's part of a memory

    @classmethod
    def stacked(cls, frames: "Sequence[Shared]") -> "Shared":
        """Join single frames; one frame many times over takes no memory."""
        if all(frame is frames[0] for frame in frames):
            return cls(*(x.expand(len(frames), *x.shape) for x in frames[0]))
        return cls(*(torch.stack(same) for same in zip(*frames, strict=True)))

    def unstacked(self) -> "list[Shared]":
        return [Shared(*frame) for frame in zip(*self, strict=True)]


class Network(nn.Module):
    """SAM 2 for one image size, without what only prompts need."""

    def __init__(self, official: SAM2Base):
        """Fold the package's model, in fp32 and on the CPU; its modules become parts of this one."""
        super().__init__()
        _check_switches(official)
        side = official.sam_image_embedding_size
        neck = official.image_encoder.neck
        frame_position = neck.position_encoding(torch.empty(1, 1, side, side))[0].flatten(1).T
        self.image_encoder = ImageEncoder(official)
        self.memory_attention = MemoryAttention(official.memory_attention, frame_position, side)
        self.mask_decoder = MaskDecoder(official)
        self.memory_encoder = MemoryEncoder(official)
        self.memory_projection = pointwise(official.memory_encoder.pix_feat_proj)
        self.pointer_ages = _PointerAges(official)
        self.memory_position = nn.Buffer(_memory_position(official, side))

    def encode(self, images: torch.Tensor) -> Shared:
        """Encode (frame, 3, side, side) normalised images."""
        embedding, middle, fine = self.image_encoder(images)
        attended, query = self.memory_attention.first_query(embedding)
        return Shared(embedding, middle, fine, attended, query, self.memory_projection(embedding))

    def look_back(
        self, memories: torch.Tensor, rows: torch.Tensor, pointers: torch.Tensor, ages: torch.Tensor
    ) -> Memories:
        """Give memories and pointers their positions in time and space.

        Args:
            memories: (lane, memory, token, memory channel).
            rows: (lane, memory), which row of the model's temporal table is each one's.
            pointers: (lane, pointer, channel).
            ages: (lane, pointer) float32, 1 being the oldest age that an ordinary pointer can have.
        """
        memories = memories.to(self.memory_position.dtype)
        width = memories.shape[-1]
        pointers = pointers.to(memories.dtype).unflatten(-1, (-1, width))
        placed = pointers + self.pointer_ages(ages)[:, :, None]
        values = torch.cat([memories.flatten(1, 2), pointers.flatten(1, 2)], 1)
        keys = torch.cat([(memories + self.memory_position[rows]).flatten(1, 2), placed.flatten(1, 2)], 1)
        return Memories(keys, values, spatial=memories.shape[1] * memories.shape[2])

    def recall(self, shared: Shared, memories: Memories) -> torch.Tensor:
        """Return (lane, token, channel): what each object's past makes of its frame, one a lane."""
        return self.memory_attention(shared.attended, shared.query, memories)

    def decode(self, shared: Shared, recalled: torch.Tensor) -> HeadOutput:
        """Segment one object a lane; `shared` has one frame a lane."""
        return self.mask_decoder(recalled, shared.middle, shared.fine)

    def candidates(self, shared: Shared, recalled: torch.Tensor) -> Candidates:
        """Segment one object a lane, and leave the choice among its masks to the caller."""
        return self.mask_decoder.candidates(recalled, shared.middle, shared.fine)

    def remember(
        self, shared: Shared, probabilities: torch.Tensor, object_score: torch.Tensor
    ) -> torch.Tensor:
        """Return memories, (lane, token, memory channel), of (lane, 1, side, side) probabilities."""
        return self.memory_encoder(shared.memory_projection, probabilities, object_score)


class _PointerAges(nn.Module):
    """What a pointer's age adds to it."""

    def __init__(self, official: SAM2Base):
        super().__init__()
        self.used, self.projection = official.add_tpos_enc_to_obj_ptrs, official.obj_ptr_tpos_proj
        self.width = official.mem_dim
        self.sine_width = official.hidden_dim if official.proj_tpos_enc_in_obj_ptrs else official.mem_dim

    def forward(self, ages: torch.Tensor) -> torch.Tensor:
        """Return (lane, pointer, memory channel) of (lane, pointer)."""
        if not self.used:
            return ages.new_zeros(*ages.shape, self.width)
        return self.projection(get_1d_sine_pe(ages, self.sine_width).to(_dtype_of(self.projection)))


def _dtype_of(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters()), torch.float32)


def _memory_position(official: SAM2Base, side: int) -> torch.Tensor:
    """Return positions in space and time, (row, token, memory channel)."""
    width = official.mem_dim
    in_space = official.memory_encoder.position_encoding(torch.empty(1, width, side, side))
    return (in_space.flatten(2).transpose(1, 2) + official.maskmem_tpos_enc[:, 0]).detach()


def _check_switches(official: SAM2Base) -> None:
    """Refuse a model that this engine would compute wrongly; all official ones pass."""
    attention, neck = official.memory_attention, official.image_encoder.neck
    layers = list(attention.layers)
    expected = {
        "image_encoder.scalp is 1": official.image_encoder.scalp == 1,
        "the neck adds nearest neighbours into level 2 alone": neck.fpn_interp_model == "nearest"
        and neck.fuse_type == "sum"
        and neck.fpn_top_down_levels == [2, 3],
        "memory attention has one head": all(
            x.num_heads == 1 for layer in layers for x in (layer.self_attn, layer.cross_attn_image)
        ),
        "positions go to memory keys alone": all(
            layer.pos_enc_at_cross_attn_keys
            and not layer.pos_enc_at_attn
            and not layer.pos_enc_at_cross_attn_queries
            for layer in layers
        ),
        "its feed-forward layers use relu": all(layer.activation_str == "relu" for layer in layers),
        "all conditioning frames are looked at": official.max_cond_frames_in_attn == -1,
        "memories are of consecutive frames": official.memory_temporal_stride_for_eval == 1,
        "tracking gives three masks, each with a pointer": official.multimask_output_in_sam
        and official.multimask_output_for_tracking
        and official.multimask_min_pt_num == 0
        and official.use_multimask_token_for_obj_ptr,
        "pointers are only of the past": official.only_obj_ptrs_in_the_past_for_eval,
        "object scores are predicted": official.pred_obj_scores,
        "high-resolution maps are used": official.use_high_res_features_in_sam,
    }
    broken = [claim for claim, holds in expected.items() if not holds]
    if broken:
        raise ValueError(f"model.architecture: the engine expects of a SAM 2 model that {'; '.join(broken)}")
