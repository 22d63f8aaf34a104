"""LOGITS -> MASKS at the video's own size."""

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base


def to_video_masks(
    model: SAM2Base, logits: torch.Tensor, video_size_hw: tuple[int, int], non_overlap: bool
) -> np.ndarray:
    """Return (object, height, width) bool masks at the video's size.

    Args:
        model: Only its rule for pixels that several objects claim is used.
        logits: (object, 1, height, width) float32, low resolution.
        video_size_hw: The video's displayed size in pixels.
        non_overlap: Whether a pixel goes only to the object with the highest logit.
    """
    return (video_logits(model, logits, video_size_hw, non_overlap)[:, 0] > 0).cpu().numpy()


def video_logits(
    model: SAM2Base, logits: torch.Tensor, video_size_hw: tuple[int, int], non_overlap: bool
) -> torch.Tensor:
    """Return (object, 1, height, width) mask logits at the video's size."""
    resized = torch.nn.functional.interpolate(logits, video_size_hw, mode="bilinear", align_corners=False)
    return model._apply_non_overlapping_constraints(resized) if non_overlap else resized
