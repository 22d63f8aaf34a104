"""Masks of two systems side by side: kept as bits, compared by IoU."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.ticks import Masks

PackedMasks = dict[str, np.ndarray]  # (object, bytes) uint8 by "video/frame"


class Agreement(NamedTuple):
    """IoU over all objects, frames and videos; two empty masks agree."""

    mean: float
    minimum: float


def add_masks(packed: PackedMasks, video: int, frame_index: int, masks: Masks) -> None:
    """Keep the (object, height, width) masks of one frame."""
    array = masks.cpu().numpy() if isinstance(masks, torch.Tensor) else masks
    packed[f"{video}/{frame_index}"] = np.packbits(array.reshape(len(array), -1), axis=1)


def save_masks(packed: PackedMasks, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **packed)


def load_masks(path: Path) -> PackedMasks:
    with np.load(path) as arrays:
        return dict(arrays)


def agreement(masks: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Agreement:
    """Return how near masks come to those of the reference.

    Raises:
        ValueError: They are not of the same videos, frames, objects and sizes.
    """
    shapes, expected = ({key: array.shape for key, array in of.items()} for of in (masks, reference))
    if shapes != expected:
        raise ValueError(
            f"masks of {len(masks)} frames do not match those of the reference's {len(reference)}"
        )
    ious = np.concatenate([_ious(masks[key], reference[key]) for key in masks])
    return Agreement(float(ious.mean()), float(ious.min()))


def _ious(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return (object,) IoUs of packed masks."""
    common, union = _areas(one & other), _areas(one | other)
    return np.where(union == 0, 1.0, common / np.maximum(union, 1))


def _areas(packed: np.ndarray) -> np.ndarray:
    return np.unpackbits(packed, axis=1).sum(axis=1)
