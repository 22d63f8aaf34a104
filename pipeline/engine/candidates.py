"""What the mask decoder says of an object: one mask, or all three to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch


class HeadOutput(NamedTuple):
    """What the SAM heads say of objects on one frame each."""

    mask_logits: torch.Tensor  # (lane, 1, height, width) float32, a quarter of the model's input size
    pointer: torch.Tensor  # (lane, channel) float32
    object_score: torch.Tensor  # (lane, 1) float32 logit
    iou_score: torch.Tensor  # (lane, 1) float32


class Candidates(NamedTuple):
    """All masks that the decoder has for objects on one frame each."""

    mask_logits: torch.Tensor  # (lane, candidate, height, width) float32
    pointers: torch.Tensor  # (lane, candidate, channel) float32
    object_score: torch.Tensor  # (lane, 1) float32 logit
    iou_scores: torch.Tensor  # (lane, candidate) float32

    def chosen(self, choices: Sequence[int]) -> HeadOutput:
        """Return one candidate a lane."""
        lanes, best = range(len(choices)), list(choices)
        logits, ious = self.mask_logits[lanes, best], self.iou_scores[lanes, best]
        return HeadOutput(logits[:, None], self.pointers[lanes, best], self.object_score, ious[:, None])


@dataclass(frozen=True)
class Glance:
    """What a memory policy sees of one object's candidates, on the host."""

    object_score: float  # logit
    iou_scores: np.ndarray  # (candidate,)
    areas_px: np.ndarray  # (candidate,)
    boxes_xyxy: np.ndarray  # (candidate, 4), of pixels of the logits; zeros where a mask is empty
    logits: torch.Tensor  # (candidate, height, width), still on the device

    @property
    def best(self) -> int:
        """The candidate that SAM 2 takes."""
        return int(self.iou_scores.argmax())

    def masks(self) -> np.ndarray:
        """Return (candidate, height, width) bool."""
        return (self.logits > 0).cpu().numpy()


def glances(candidates: Candidates) -> list[Glance]:
    """Return one glance a lane; the device is waited for once."""
    masks = candidates.mask_logits > 0
    left, right = _extent(masks.any(2))
    top, bottom = _extent(masks.any(3))
    areas = masks.flatten(2).sum(2)
    boxes = torch.stack([left, top, right, bottom], -1) * (areas > 0)[..., None]
    numbers = torch.cat([areas[..., None], boxes, candidates.iou_scores[..., None]], -1).cpu().numpy()
    scores = candidates.object_score[:, 0].cpu().tolist()
    return [
        Glance(score, of_one[:, 5], of_one[:, 0], of_one[:, 1:5].astype(float), logits)
        for score, of_one, logits in zip(scores, numbers, candidates.mask_logits, strict=True)
    ]


def box_iou(one_xyxy: np.ndarray, others_xyxy: np.ndarray) -> np.ndarray:
    """Return the IoU of a box with each of (box, 4); 0 with an empty one."""
    low, high = np.maximum(one_xyxy[:2], others_xyxy[:, :2]), np.minimum(one_xyxy[2:], others_xyxy[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others_xyxy[:, 2:] - others_xyxy[:, :2], axis=1)
    both = np.prod(np.clip(one_xyxy[2:] - one_xyxy[:2], 0, None)) + areas - common
    return np.divide(common, both, out=np.zeros(len(areas)), where=both > 0)


def _extent(occupied: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first and one past the last of (.., position) that are true."""
    length = occupied.shape[-1]
    positions = torch.arange(length, device=occupied.device)
    first = torch.where(occupied, positions, length).amin(-1)
    return first, torch.where(occupied, positions + 1, 0).amax(-1)
