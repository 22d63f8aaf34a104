"""FRAMES -> DETECTIONS: any detector of the user's own, and the two that come along.

It is called with a frame, (height, width, 3) uint8 RGB. Each video has a detector of its own, as some
remember what they saw.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.inputs.detection import Detection, Found, clipped
from pipeline.inputs.motion import MotionConfig, MotionDetector
from pipeline.inputs.onnx_detector import OnnxConfig, OnnxDetector

Detector = Callable[[np.ndarray], Found]


@dataclass
class DetectorConfig:
    """Which detector looks at how many frames."""

    detector: str = "motion"  # or onnx, or module:function
    every_frames: int = 1  # it looks at one frame in so many
    motion: MotionConfig = field(default_factory=MotionConfig)
    onnx: OnnxConfig = field(default_factory=OnnxConfig)

    def __post_init__(self):
        if self.every_frames < 1:
            raise ValueError(f"every_frames must be 1 or more, got {self.every_frames}")


def detector_maker(config: DetectorConfig) -> Callable[[], Detector]:
    """Return what makes a detector: of what moves, of an ONNX file, or what `module:function` names.

    Raises:
        UsageError: There is no such detector, or ONNX Runtime is missing.
        InputMissing: There is no such ONNX file.
    """
    if config.detector == "motion":
        return partial(MotionDetector, config.motion)
    if config.detector == "onnx":
        detector = OnnxDetector(config.onnx)  # one for all videos: it is large, and remembers nothing
        return lambda: detector
    module, _, function = config.detector.partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"detector={config.detector}: expected motion, onnx or module:function: {error}"
        ) from None


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
