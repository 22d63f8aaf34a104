"""PROMPT -> MODEL INPUT: from pixels of the video to what the SAM heads take."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.records import Prompt

BOX_CORNER_LABELS = (2, 3)  # how the prompt encoder knows a box's corners among points


@dataclass(frozen=True)
class PointPrompt:
    """Points, with a box as its two corners in front."""

    coordinates_xy: torch.Tensor  # (1, point, 2) float32, pixels of the model's input
    labels: torch.Tensor  # (1, point) int32: 1 on the object, 0 not, 2 and 3 a box's corners


@dataclass(frozen=True)
class DensePrompt:
    """A mask at the model's input size."""

    mask: torch.Tensor  # (1, 1, height, width) float32 of 0 and 1


def point_prompt(prompt: Prompt, video_size_hw: tuple[int, int], image_size_px: int) -> PointPrompt:
    """Return a prompt of points, a box, or both, in pixels of the model's input."""
    points, labels = list(prompt.points_xy), list(prompt.point_labels)
    if prompt.box_xyxy is not None:
        points = [prompt.box_xyxy[:2], prompt.box_xyxy[2:], *points]
        labels = [*BOX_CORNER_LABELS, *labels]
    height, width = video_size_hw
    # The order of the two operations is the official one: it decides the last bit.
    scaled = torch.tensor([points], dtype=torch.float32) / torch.tensor([width, height]) * image_size_px
    return PointPrompt(scaled, torch.tensor([labels], dtype=torch.int32))


def dense_prompt(mask: np.ndarray, image_size_px: int) -> DensePrompt:
    """Return a mask at the model's input size, resized as `add_new_mask` of the official predictor does.

    Args:
        mask: (height, width) bool, at the video's own size.
    """
    pixels = torch.from_numpy(mask)[None, None].float()
    if mask.shape != (image_size_px, image_size_px):
        resized = torch.nn.functional.interpolate(
            pixels, (image_size_px, image_size_px), mode="bilinear", align_corners=False, antialias=True
        )
        pixels = (resized >= 0.5).float()
    return DensePrompt(pixels)
