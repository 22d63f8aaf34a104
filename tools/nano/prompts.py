"""Prompts drawn from true masks, as people might give them. Places are pixels of the square, x before y."""

import cv2
import numpy as np
import torch

from pipeline.inputs.manifest_write import PromptKind

BOX_JITTER = 0.06  # of the box's own sides, each way
POSITIVE, NEGATIVE, PADDING, UPPER_LEFT, LOWER_RIGHT = 1, 0, -1, 2, 3  # labels of the official prompt encoder


Points = dict[
    str, torch.Tensor
]  # point_coords (object, point, 2) float32, point_labels (object, point) int32


def points_for(kind: PromptKind, masks: np.ndarray, rng: np.random.Generator) -> Points:
    """Return a click or a box for each object.

    Args:
        kind: Not a mask.
        masks: (object, side, side) bool, none of them empty.
        rng: Draws places.
    """
    if kind == PromptKind.click:
        return as_points([[click(mask, rng)] for mask in masks], [[POSITIVE]] * len(masks))
    return as_points([box(mask, rng) for mask in masks], [[UPPER_LEFT, LOWER_RIGHT]] * len(masks))


def as_points(xy_px, labels) -> Points:
    return {
        "point_coords": torch.tensor(np.asarray(xy_px, np.float32)),
        "point_labels": torch.tensor(np.asarray(labels, np.int32)),
    }


def click(mask: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the point farthest from the mask's edge, or one of those well inside."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    least = depth.max() if rng.random() < 0.5 else min(depth.max(), max(1.5, 0.35 * depth.max()))
    return _any_of(depth >= least, rng)


def box(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the box about a mask, its corners somewhat off: (2, 2)."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    corners = np.array([[x, y], [x + width - 1, y + height - 1]], np.float32)
    jitter = rng.uniform(-BOX_JITTER, BOX_JITTER, (2, 2)) * (width, height)
    return np.clip(corners + jitter, 0, len(mask) - 1)


def correction(
    found: np.ndarray, true: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[float, float], int]:
    """Return a click where the mask is wrong, and its label: positive where more is missing than too much.

    Without a fault, it is on the object or, where that is absent, anywhere else.
    """
    missing, surplus = true & ~found, found & ~true
    if missing.any() or surplus.any():
        positive = missing.sum() >= surplus.sum()
        return click(missing if positive else surplus, rng), POSITIVE if positive else NEGATIVE
    return (click(true, rng), POSITIVE) if true.any() else (_any_of(~true, rng), NEGATIVE)


def corrections(found: np.ndarray, true: np.ndarray, rng: np.random.Generator) -> Points:
    """Return a corrective click for each object; masks are (object, side, side) bool."""
    drawn = [correction(one, other, rng) for one, other in zip(found, true, strict=True)]
    return as_points([[xy] for xy, _ in drawn], [[label] for _, label in drawn])


def joined(first: Points | None, then: Points) -> Points:
    """Return the points of both."""
    return {name: torch.cat([first[name], points], 1) for name, points in then.items()} if first else then


def _any_of(where: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    places = np.flatnonzero(where)
    row, column = divmod(int(places[rng.integers(len(places))]), where.shape[1])
    return float(column), float(row)
