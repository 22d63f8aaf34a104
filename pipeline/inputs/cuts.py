"""Where one scene ends and the next begins."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np

from pipeline.records import Frame

HUES = 180  # of OpenCV
SIDE_PX = 128  # of what is compared: cuts show at any size, noise does not


def mark_cuts(
    frames: Generator[Frame, None, None], threshold: float, before: int | None = None
) -> Generator[Frame, None, None]:
    """Yield frames, and mark those that show another scene than the frame before them.

    The mean change of hue, saturation and value is what PySceneDetect's `ContentDetector` goes by, but that
    hue is a circle here. A frame is compared with the one before it alone: so where reading begins decides
    nothing.

    Args:
        frames: In the order that they are tracked in.
        threshold: Of the change, 0 to 255.
        before: The index of a frame that is only compared with, and not yielded.
    """
    last: np.ndarray | None = None
    with closing(frames):
        for frame in frames:
            small = cv2.resize(frame.image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
            now = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.int16)
            is_cut = last is not None and change(last, now) >= threshold
            last = now
            if frame.index != before:
                yield replace(frame, is_after_cut=True) if is_cut else frame


def change(before: np.ndarray, now: np.ndarray) -> float:
    """Return the mean difference of two (height, width, 3) int16 images of hue, saturation and value."""
    difference = np.abs(now - before)
    hue = difference[..., 0]
    difference[..., 0] = np.minimum(hue, HUES - hue)
    return float(difference.mean())
