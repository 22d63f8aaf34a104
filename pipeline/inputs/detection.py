"""What a detector found, checked."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detection:
    """What a detector found on one frame."""

    frame_index: int
    box_xyxy: tuple[float, float, float, float]  # pixels of the displayed frame
    score: float  # 0 to 1
    label: str | None = None

    def __post_init__(self):
        x0, y0, x1, y1 = self.box_xyxy
        if self.frame_index < 0:
            raise ValueError(f"frame_index is {self.frame_index}, allowed: 0 or more")
        if not (np.isfinite(self.box_xyxy).all() and x0 < x1 and y0 < y1):
            raise ValueError(f"box_xyxy is {self.box_xyxy}, allowed: finite, x0 < x1 and y0 < y1")
        if not 0 <= self.score <= 1:
            raise ValueError(f"score is {self.score}, allowed: 0 to 1")
