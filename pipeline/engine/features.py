"""FRAME -> FEATURES: what Hiera sees in one frame, shared by all its objects."""

from dataclasses import dataclass

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.records import Frame

# ImageNet's, as in sam2/utils/misc.py.
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FrameFeatures:
    """One frame as the model sees it, finest level first, coarsest last."""

    frame_index: int
    time_seconds: float
    video_size_hw: tuple[int, int]
    maps: list[torch.Tensor]  # each (height * width, 1, channel)
    positions: list[torch.Tensor]  # each (height * width, 1, channel)
    sizes_hw: list[tuple[int, int]]


def encode_image(model: SAM2Base, frame: Frame, device: torch.device) -> FrameFeatures:
    """Return the features of a frame whose image has the model's input size.

    Raises:
        ValueError: The image has another size.
    """
    side = model.image_size
    if frame.image.shape[:2] != (side, side):
        raise ValueError(f"frame {frame.index}: the model sees {side}x{side} px, got {frame.image.shape[:2]}")
    backbone = model.forward_image(_normalised(frame.image, device))
    _, maps, positions, sizes_hw = model._prepare_backbone_features(backbone)
    return FrameFeatures(frame.index, frame.time_seconds, frame.video_size_hw, maps, positions, sizes_hw)


def _normalised(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return (height, width, 3) uint8 as (1, 3, height, width) float32, as the official loader does."""
    pixels = torch.tensor(image).to(device).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (RGB_MEAN, RGB_STD))
    return (pixels.float() / 255.0 - mean) / std
