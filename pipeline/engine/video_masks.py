"""LOGITS -> MASKS at the video's own size."""

import torch
import torch.nn.functional as F


def to_video_masks(logits: torch.Tensor, video_size_hw: tuple[int, int], non_overlap: bool) -> torch.Tensor:
    """Return (object, height, width) bool masks at the video's size, where the logits are.

    Args:
        logits: (object, 1, height, width) float32, low resolution.
        video_size_hw: The video's displayed size in pixels.
        non_overlap: Whether a pixel goes only to the object with the highest logit.
    """
    return video_logits(logits, video_size_hw, non_overlap)[:, 0] > 0


def video_logits(logits: torch.Tensor, video_size_hw: tuple[int, int], non_overlap: bool) -> torch.Tensor:
    """Return (object, 1, height, width) mask logits at the video's size."""
    resized = F.interpolate(logits, video_size_hw, mode="bilinear", align_corners=False)
    return _without_overlap(resized) if non_overlap else resized


def _without_overlap(logits: torch.Tensor) -> torch.Tensor:
    """Keep, as `_apply_non_overlapping_constraints` of sam2 does, each pixel's highest logit alone."""
    winner = logits.argmax(0, keepdim=True)
    objects = torch.arange(len(logits), device=logits.device)[:, None, None, None]
    return torch.where(objects == winner, logits, logits.clamp(max=-10.0))
