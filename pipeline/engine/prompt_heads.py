"""FRAME + PROMPT -> MASK: the official heads, as SAM works on images; for corrections, with memory.

Prompts are few, so the sam2 package's own modules do this, in fp32 whatever the rest computes in.
"""

import copy
import math

import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.engine.candidates import HeadOutput
from pipeline.engine.network import Shared
from pipeline.engine.prompts import DensePrompt, PointPrompt

LARGEST_LOGIT = 32.0  # of a mask that is given to the heads, as in the package

# Tracking has its own; without these an official model is a few megabytes.
NOT_FOR_PROMPTS = ("image_encoder", "memory_attention", "memory_encoder")


def prompt_heads(official: SAM2Base) -> SAM2Base:
    """Return a model with the heads of `official`, and nothing else of it."""
    heads = copy.copy(official)
    heads._modules = {name: part for name, part in official._modules.items() if name not in NOT_FOR_PROMPTS}
    return heads


def segment_prompt(heads: SAM2Base, shared: Shared, prompt: PointPrompt | DensePrompt) -> HeadOutput:
    """Segment a prompted object on one frame; one lane.

    Mirrors `_track_step` of the package for a frame that is conditioning from the start.
    """
    embedding = _square(shared.embedding[:, None])
    fine, middle = _square(shared.fine), _square(shared.middle)
    device = embedding.device
    if isinstance(prompt, DensePrompt):
        outputs = heads._use_mask_as_output(embedding, [fine, middle], prompt.mask.to(device))
    else:
        points = _points(prompt, device)
        outputs = heads._forward_sam_heads(
            backbone_features=embedding + heads.no_mem_embed[0, 0, :, None, None],
            point_inputs=points,
            high_res_features=[fine, middle],
            multimask_output=heads._use_multimask(True, points),
        )
    return _head_output(outputs)


def refine(
    heads: SAM2Base, shared: Shared, recalled: torch.Tensor, found: torch.Tensor, prompt: PointPrompt
) -> HeadOutput:
    """Segment an object on a frame that it was tracked to, by points on what was found there; one lane.

    Mirrors `add_new_points_or_box` and `_track_step` of the package for such a frame.

    Args:
        recalled: (token, channel), what its past makes of the frame.
        found: (1, 1, height, width) mask logits that tracking found.
    """
    fine, middle = _square(shared.fine), _square(shared.middle)
    points = _points(prompt, fine.device)
    return _head_output(
        heads._forward_sam_heads(
            backbone_features=_square(recalled[:, None]),
            point_inputs=points,
            mask_inputs=found.clamp(-LARGEST_LOGIT, LARGEST_LOGIT),
            high_res_features=[fine, middle],
            multimask_output=heads._use_multimask(False, points),
        )
    )


def _points(prompt: PointPrompt, device: torch.device) -> dict[str, torch.Tensor]:
    return {"point_coords": prompt.coordinates_xy.to(device), "point_labels": prompt.labels.to(device)}


def _head_output(outputs: tuple[torch.Tensor, ...]) -> HeadOutput:
    _, _, ious, logits, _, pointer, object_score = outputs
    return HeadOutput(logits, pointer, object_score, ious.max(1, keepdim=True).values)


def _square(x: torch.Tensor) -> torch.Tensor:
    """Return (token, pixel, channel) as (1, channel, side, side); a token has 1, 2 x 2 or 4 x 4 pixels."""
    side, halvings = math.isqrt(len(x)), x.shape[1].bit_length() // 2
    pixels = x.float().unflatten(1, [2] * (2 * halvings)) if halvings else x.float()[:, 0]
    pixels = pixels.unflatten(0, (side, side))
    rows, columns = range(2, 2 + 2 * halvings, 2), range(3, 3 + 2 * halvings, 2)
    raster = pixels.permute(0, *rows, 1, *columns, -1)
    return raster.reshape(1, side << halvings, side << halvings, -1).permute(0, 3, 1, 2).contiguous()
