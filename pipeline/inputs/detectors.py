"""FRAMES -> DETECTIONS: any detector, named by its place, and the two that come along.

A detector is called with a frame, (height, width, 3) uint8 RGB, and returns boxes, (detection, 4) as
x0, y0, x1, y1 in pixels, scores, (detection,) from 0 to 1, and as many labels (class names, or None).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import isclass
from typing import Any, cast

import numpy as np

from pipeline.errors import UsageError
from pipeline.inputs.detection import Detection, clipped
from pipeline.inputs.motion import MotionConfig, MotionDetector
from pipeline.inputs.onnx_detector import OnnxConfig, OnnxDetector

Found = tuple[np.ndarray, np.ndarray, Sequence[str | None]]
Detector = Callable[[np.ndarray], Found]

EXAMPLE = "'motion', 'onnx' or 'module:name', a function or class of yours"


@dataclass
class DetectorConfig:
    """Which detector looks at how many frames."""

    detector: str = "motion"  # or onnx, or module:name
    every_frames: int = 1  # it looks at one frame in so many
    motion: MotionConfig = field(default_factory=MotionConfig)
    onnx: OnnxConfig = field(default_factory=OnnxConfig)

    def __post_init__(self):
        if self.every_frames < 1:
            raise ValueError(f"every_frames must be 1 or more, got {self.every_frames}")


def detector_maker(config: DetectorConfig) -> Callable[[], Detector]:
    """Return what makes a detector for each video: some, such as of motion, remember what they saw.

    Raises:
        UsageError: There is no such detector.
    """
    if config.detector == "motion":
        return partial(MotionDetector, config.motion)
    if config.detector == "onnx":
        return partial(_same, OnnxDetector(config.onnx))
    module, _, name = config.detector.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"detector={config.detector}: {error}; expected {EXAMPLE}") from None
    return cast(Callable[[], Detector], found) if isclass(found) else partial(_same, found)


def detections_on(frame_index: int, image: np.ndarray, detector: Detector) -> Iterator[Detection]:
    """Yield what a detector finds on a frame, cut off at the frame's edge.

    Raises:
        UsageError: The detector returns what no detector may.
    """
    boxes, scores, labels = detector(image)
    if np.shape(boxes) not in ((len(labels), 4), (0,)) or np.shape(scores) != (len(labels),):
        raise UsageError(
            f"detector, frame {frame_index}: found boxes of shape {np.shape(boxes)}, scores of shape "
            f"{np.shape(scores)} and {len(labels)} labels; expected (n, 4), (n,) and n"
        )
    for (x0, y0, x1, y1), score, label in zip(np.asarray(boxes, float), scores, labels, strict=True):
        box = clipped((float(x0), float(y0), float(x1), float(y1)), (image.shape[0], image.shape[1]))
        if box is not None:
            yield _checked(frame_index, box, float(score), label)


def _checked(frame_index: int, box: Any, score: float, label: str | None) -> Detection:
    try:
        return Detection(frame_index, box, score, label)
    except ValueError as error:
        raise UsageError(f"detector, frame {frame_index}: {error}") from None


def _same(detector: Detector) -> Detector:
    return detector
