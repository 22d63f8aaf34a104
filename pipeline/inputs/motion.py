"""What moves before a camera that does not: background subtraction by OpenCV's MOG2 (Zivkovic 2004)."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.inputs.detection import Found

NOTHING: Found = np.empty((0, 4)), np.empty(0), []
FOREGROUND = 255  # MOG2 marks shadows by 127


@dataclass
class MotionConfig:
    """What counts as something that moves."""

    history_frames: int = 2000  # a thing that stops is background after a tenth of them
    min_difference: float = 60.0  # from the background, in squared standard deviations
    warm_up_frames: int = 25  # at the start, without detections: what is there is not known to be background
    min_area_share: float = 0.005  # of the frame; less is noise
    max_area_share: float = 0.3  # of the frame; more is a change of the light
    gap_px: int = 9  # parts of one thing are this close

    def __post_init__(self):
        for name in ("history_frames", "gap_px"):
            if getattr(self, name) < 1:
                raise ValueError(f"motion.{name} must be 1 or more, got {getattr(self, name)}")
        if self.warm_up_frames < 0 or self.min_difference <= 0:
            raise ValueError("motion.warm_up_frames must be 0 or more, and motion.min_difference above 0")
        if not 0 < self.min_area_share < self.max_area_share <= 1:
            raise ValueError(
                "motion.min_area_share and motion.max_area_share must be above 0, at most 1 and in order, "
                f"got {self.min_area_share} and {self.max_area_share}"
            )


class MotionDetector:
    """A detector for one video; its frames must come in order. The score grows with what moves."""

    def __init__(self, config: MotionConfig):
        self._config = config
        self._seen = 0
        self._first_medians = np.ones(3)
        self._background = cv2.createBackgroundSubtractorMOG2(config.history_frames, config.min_difference)

    def __call__(self, image: np.ndarray) -> Found:
        if self._seen == 0:
            self._first_medians = _medians(image)
        self._seen += 1
        is_warm = self._seen > self._config.warm_up_frames
        # OpenCV's own rate, which the warm-up takes, makes what stops background within half a second.
        rate = 1 / self._config.history_frames if is_warm else -1
        moving = self._background.apply(self._as_lit_at_first(image), learningRate=rate)
        return _boxes_of(moving == FOREGROUND, self._config) if is_warm else NOTHING

    def _as_lit_at_first(self, image: np.ndarray) -> np.ndarray:
        """Undo what the camera's exposure has changed: the middle brightness of each colour stays."""
        gains = self._first_medians / _medians(image)
        return cv2.LUT(image, cv2.convertScaleAbs(np.arange(256)[None, :, None] * gains))


def _medians(image: np.ndarray) -> np.ndarray:
    """Return the median of each colour, (3,), at least 1; a sixteenth of the pixels tells it."""
    return np.maximum(np.median(image[::4, ::4].reshape(-1, 3), axis=0), 1)


def _boxes_of(moving: np.ndarray, config: MotionConfig) -> Found:
    speck = np.ones((3, 3), np.uint8)
    gap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (config.gap_px, config.gap_px))
    cleared = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_OPEN, speck)
    joined = cv2.morphologyEx(cleared, cv2.MORPH_CLOSE, gap)
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    x, y, width, height, area = stats[1:].T  # 0 is the background
    share = width * height / moving.size
    wanted = (config.min_area_share <= share) & (share <= config.max_area_share)
    boxes = np.stack([x, y, x + width, y + height], 1)[wanted].astype(float)
    # What enters is best seen when most of it is there: the best box of a few is the one with most motion.
    scores = area / (area + config.min_area_share * moving.size)
    return boxes, scores[wanted], [None] * int(wanted.sum())
