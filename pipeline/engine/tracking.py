"""FEATURES + MEMORY -> MASK + MEMORY: one object on one frame, by the sam2 package's modules.

Mirrors `SAM2VideoPredictor` (sam2 at 2b90b9f): `add_new_points_or_box` and `add_new_mask` with the
preflight that encodes their memories, and `_run_single_frame_inference` for tracked frames.
"""

from typing import Any, NamedTuple

import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.engine.features import FrameFeatures
from pipeline.engine.prompts import DensePrompt, PointPrompt
from pipeline.engine.state import POINTER_SPAN_FRAMES, ObjectState


class HeadOutput(NamedTuple):
    """What the SAM heads say of one object on one frame."""

    mask_logits: torch.Tensor  # (1, 1, height, width) float32, a quarter of the model's input size
    pointer: torch.Tensor  # (1, channel)
    object_score: torch.Tensor  # (1, 1) logit
    iou_score: torch.Tensor  # (1, 1)


def segment_prompt(model: SAM2Base, features: FrameFeatures, prompt: PointPrompt | DensePrompt) -> HeadOutput:
    """Segment a prompted object without any memory, as SAM does on images."""
    device = features.maps[0].device
    points, mask = None, None
    if isinstance(prompt, PointPrompt):
        points = {
            "point_coords": prompt.coordinates_xy.to(device),
            "point_labels": prompt.labels.to(device),
        }
    else:
        mask = prompt.mask.to(device)
    return _run_heads(model, features, points, mask, past={}, num_frames=0)[0]


def encode_memory(
    model: SAM2Base, features: FrameFeatures, mask_logits: torch.Tensor, object_score: torch.Tensor
) -> torch.Tensor:
    """Return the memory of a prompted frame, from its mask as the user gets it.

    The mask is upsampled from the low-resolution logits again, after holes were filled, and is
    binarised: the official predictor does so for prompted frames and for these only.
    """
    high_res = torch.nn.functional.interpolate(
        mask_logits, (model.image_size, model.image_size), mode="bilinear", align_corners=False
    )
    return _encode_memory(model, features, high_res, object_score, prompted=True)


def track(
    model: SAM2Base, features: FrameFeatures, bank: ObjectState, num_frames: int
) -> tuple[HeadOutput, torch.Tensor]:
    """Segment an object by its memory bank; return also the memory of this frame."""
    past = _sam2_past(bank, _memory_position(model, features))
    # The model asks for the number of frames only where it is below 16, and as a bound of the past.
    if num_frames >= POINTER_SPAN_FRAMES:
        num_frames = max(num_frames, features.frame_index + 1)
    out, high_res = _run_heads(model, features, None, None, past, num_frames)
    return out, _encode_memory(model, features, high_res, out.object_score, prompted=False)


def _run_heads(
    model: SAM2Base,
    features: FrameFeatures,
    points: dict[str, torch.Tensor] | None,
    mask: torch.Tensor | None,
    past: dict[str, dict[int, dict[str, Any]]],
    num_frames: int,
) -> tuple[HeadOutput, torch.Tensor]:
    """Return the output and the (1, 1, side, side) mask logits at the model's input size."""
    _, outputs, _, _ = model._track_step(
        frame_idx=features.frame_index,
        is_init_cond_frame=not past,
        current_vision_feats=features.maps,
        current_vision_pos_embeds=features.positions,
        feat_sizes=features.sizes_hw,
        point_inputs=points,
        mask_inputs=mask,
        output_dict=past,
        num_frames=num_frames,
        track_in_reverse=False,
        prev_sam_mask_logits=None,
    )
    _, _, ious, low_res, high_res, pointer, object_score = outputs
    best_iou = ious.max(dim=1, keepdim=True).values  # the mask chosen is the one with the best IoU
    return HeadOutput(low_res, pointer, object_score, best_iou), high_res


def _encode_memory(
    model: SAM2Base,
    features: FrameFeatures,
    high_res_logits: torch.Tensor,
    object_score: torch.Tensor,
    prompted: bool,
) -> torch.Tensor:
    memory, _ = model._encode_new_memory(
        current_vision_feats=features.maps,
        feat_sizes=features.sizes_hw,
        pred_masks_high_res=high_res_logits,
        object_score_logits=object_score,
        is_mask_from_pts=prompted,
    )
    # The official predictor stores bf16 whatever it computes in; fp16 autocast can't mix with it.
    return memory if memory.dtype == torch.float16 else memory.to(torch.bfloat16)


def _sam2_past(bank: ObjectState, position: torch.Tensor) -> dict[str, dict[int, dict[str, Any]]]:
    """Return a memory bank in the form that the sam2 package reads."""
    return {
        "cond_frame_outputs": {
            t: {"maskmem_features": c.memory, "maskmem_pos_enc": [position], "obj_ptr": c.pointer}
            for t, c in bank.conditioning.items()
        },
        "non_cond_frame_outputs": {
            t: {
                "maskmem_features": bank.memories.get(t),
                "maskmem_pos_enc": [position],
                "obj_ptr": pointer,
            }
            for t, pointer in bank.pointers.items()
        },
    }


def _memory_position(model: SAM2Base, features: FrameFeatures) -> torch.Tensor:
    """Return the memories' spatial position encoding; a constant, cached by the sam2 module."""
    height, width = features.sizes_hw[-1]
    dtype = features.maps[-1].dtype
    blank = torch.zeros(1, model.mem_dim, height, width, dtype=dtype, device=features.maps[-1].device)
    return model.memory_encoder.position_encoding(blank).to(dtype)
