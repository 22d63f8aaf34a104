"""A small true video without pictures, for tests of metrics and prompts."""

from pathlib import Path

import numpy as np

from benchmarks.tracking_truth import TrueVideo

SIZE_HW = (20, 60)


def square(x: int, size: int = 10) -> np.ndarray:
    mask = np.zeros(SIZE_HW, bool)
    mask[5:15, x : x + size] = True
    return mask


class DrawnVideo(TrueVideo):
    """A video that needs no file to know its size."""

    size_hw = SIZE_HW


def drawn(*sights: dict[int, int]) -> TrueVideo:
    """Return a video from what is seen on each frame: the left edge of a square by object id."""
    return DrawnVideo("drawn", Path("drawn"), {t: masks_of(sight) for t, sight in enumerate(sights)})


def masks_of(sight: dict[int, int]) -> dict[int, np.ndarray]:
    return {object_id: square(x) for object_id, x in sight.items()}
