"""One box of a detector, and what can be wrong with it. Pure functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the displayed frame

# What a detector returns of a frame: boxes (n, 4), scores (n,) from 0 to 1, and n class names or Nones.
Found = tuple[np.ndarray, np.ndarray, Sequence[str | None]]


@dataclass(frozen=True)
class Detection:
    """What a detector found on one frame: a box, and how sure it is."""

    frame_index: int  # from 0, in display order
    box_xyxy: Box
    score: float  # 0 to 1
    label: str | None = None  # class name

    def __post_init__(self):
        for column, found, allowed in faults_of(self.frame_index, self.box_xyxy, self.score):
            raise ValueError(f"detection: {column} is {found}, allowed: {allowed}")


def faults_of(frame_index: Any, box_xyxy: Any, score: Any) -> Iterator[tuple[str, str, str]]:
    """Yield column, found and allowed of all that is wrong with a detection, its video left aside."""
    if not _is_number(frame_index) or frame_index < 0:
        yield "frame_index", str(frame_index), "0 or more"
    if problem := _box_problem(box_xyxy):
        yield "box_xyxy", str(box_xyxy and list(box_xyxy)), problem
    if not _is_number(score) or not 0 <= score <= 1:
        yield "score", f"{score:g}" if _is_number(score) else str(score), "0 to 1"


def area_px(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(a: Box, b: Box) -> float:
    """Return the intersection over the union of two boxes.

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (area_px(a) + area_px(b) - common)


def clipped(box: Box, size_hw: tuple[int, int]) -> Box | None:
    """Return the part of a box that lies in the frame; None if no part does.

    Detectors go a little beyond the edge, prompts may not.

    >>> clipped((-1, 2, 30, 9), (8, 20)), clipped((20, 0, 30, 8), (8, 20))
    ((0.0, 2, 20, 8), None)
    """
    height, width = size_hw
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(width, box[2]), min(height, box[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _box_problem(box: Any) -> str | None:
    """Return what a box should be, if it is not."""
    if box is None or len(box) != 4 or not all(map(_is_number, box)):
        return "[x0, y0, x1, y1]"
    if not np.isfinite(box).all():
        return "finite pixel coordinates"
    x0, y0, x1, y1 = box
    return None if x0 < x1 and y0 < y1 else "x0 < x1 and y0 < y1"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
