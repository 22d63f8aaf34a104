"""FRAMES -> DETECTIONS: a detector of the user's own, or what moves before a camera that stands still."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

import cv2
import numpy as np

from pipeline.errors import UsageError
from pipeline.inputs.detection import Detection
from pipeline.records import Frame

# From an image, (height, width, 3) uint8 RGB, to boxes (n, 4) x0 y0 x1 y1 in pixels, scores (n,) and labels.
Detector = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, list[str | None]]]


@dataclass
class MotionConfig:
    """What counts as moving: for `detector=motion`."""

    min_area_share: float = 0.002  # of the frame
    history_frames: int = 200  # that the background is learned from
    warm_up_frames: int = 20  # at the start, that give no boxes

    def __post_init__(self):
        if not 0 <= self.min_area_share < 1:
            raise ValueError(f"motion.min_area_share must be 0 to 1, got {self.min_area_share}")
        if self.history_frames < 1 or self.warm_up_frames < 0:
            raise ValueError(
                "motion.history_frames must be 1 or more and motion.warm_up_frames 0 or more, "
                f"got {self.history_frames} and {self.warm_up_frames}"
            )


class MotionDetector:
    """Boxes of what moves, by OpenCV's background subtraction (MOG2); for cameras that stand still."""

    def __init__(self, config: MotionConfig):
        self._config, self._seen = config, 0
        self._background = cv2.createBackgroundSubtractorMOG2(config.history_frames, detectShadows=True)

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
        """Return boxes of what differs from the background; a score is how full its box is."""
        moving = (self._background.apply(image) == 255).astype(np.uint8)  # 127 is shadow
        self._seen += 1
        kernel = np.ones((5, 5), np.uint8)
        closed = cv2.morphologyEx(cv2.morphologyEx(moving, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, kernel)
        _, _, parts, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        large = parts[1:][parts[1:, cv2.CC_STAT_AREA] >= self._config.min_area_share * moving.size]
        if self._seen <= self._config.warm_up_frames:
            large = large[:0]
        left, top, width, height, area = large.T.astype(float)
        boxes = np.stack([left, top, left + width, top + height], axis=1)
        return boxes, area / np.maximum(width * height, 1), [None] * len(boxes)


def load_detector(name: str, motion: MotionConfig) -> Detector:
    """Return `motion`, or what `module:function` names; the function is called once and returns a detector.

    Raises:
        UsageError: There is no such thing.
    """
    if name == "motion":
        return MotionDetector(motion)
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)()
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"detector={name}: expected motion, or module:function: {error}") from None


def detect(frames: Iterable[Frame], detector: Detector) -> Iterator[Detection]:
    """Yield what a detector finds, frame by frame; boxes without area are left out."""
    for frame in frames:
        boxes, scores, labels = detector(frame.image)
        for box, score, label in zip(boxes, scores, labels, strict=True):
            x0, y0, x1, y1 = (float(value) for value in box)
            if x0 < x1 and y0 < y1:
                yield Detection(frame.index, (x0, y0, x1, y1), float(np.clip(score, 0, 1)), label)
