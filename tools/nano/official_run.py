"""The official predictor on a folder of frames, with each kind of prompt on the first one."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from tools.nano.prompts import Kind


@dataclass(frozen=True)
class Tracked:
    """What came out of one video."""

    masks: list[list[np.ndarray]]  # by prompt, then by frame: (height, width) bool
    seconds: float  # for all frames, without loading them


def track(predictor: SAM2VideoPredictor, frames: Path, prompts: list[tuple[Kind, np.ndarray]]) -> Tracked:
    """Follow one object for each prompt, which SAM 2 does independently.

    Args:
        predictor: Of nano.
        frames: Folder of JPEGs whose names are numbers.
        prompts: Kind, and the object's mask on the first frame, (height, width) bool.
    """
    state = predictor.init_state(str(frames), offload_video_to_cpu=True)
    for number, (kind, mask) in enumerate(prompts):
        if kind == Kind.mask:
            predictor.add_new_mask(state, 0, number, torch.from_numpy(mask))
        else:
            predictor.add_new_points_or_box(state, 0, number, **_points(kind, mask))
    found = [[] for _ in prompts]
    began = time.monotonic()
    for _, _, logits in predictor.propagate_in_video(state):
        for number, mask in enumerate((logits[:, 0] > 0).cpu().numpy()):
            found[number].append(mask)
    return Tracked(found, time.monotonic() - began)


def _points(kind: Kind, mask: np.ndarray) -> dict[str, Any]:
    if kind == Kind.click:
        return {"points": np.array([middle_xy_px(mask)], np.float32), "labels": np.array([1], np.int32)}
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return {"box": np.array([x, y, x + width - 1, y + height - 1], np.float32)}


def middle_xy_px(mask: np.ndarray) -> tuple[int, int]:
    """Return the point of a mask that is farthest from its edge."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(column), int(row)


def iou(found: np.ndarray, true: np.ndarray) -> float:
    """Return intersection over union; 1 for two empty masks."""
    union = (found | true).sum()
    return float((found & true).sum() / union) if union else 1.0
