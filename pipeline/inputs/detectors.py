"""FRAMES -> DETECTIONS: any detector of the user's own, and the two that come along.

It is called with a frame, (height, width, 3) uint8 RGB. Each video has a detector of its own, as some
remember what they saw.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.inputs.detection import Detection, Found, clipped
from pipeline.inputs.motion import MotionConfig, MotionDetector
from pipeline.inputs.onnx_detector import OnnxConfig, OnnxDetector

Detector = Callable[[np.ndarray], Found]
MAKER = "expected a function without arguments that returns a detector, which is called with each frame"


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
    return partial(_made, config.detector, _imported(config.detector))


def _imported(name: str) -> Callable[[], Detector]:
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)
    except Exception as error:  # whatever a module of the user's raises
        raise UsageError(
            f"detector={name}: expected motion, onnx or module:function: {type(error).__name__}: {error}"
        ) from None


def _made(name: str, make: Callable[[], Detector]) -> Detector:
    try:
        detector = make()
    except TypeError as error:
        raise UsageError(f"detector={name}: {error}; {MAKER}") from None
    if not callable(detector):
        raise UsageError(f"detector={name}: returned {detector!r:.80}; {MAKER}")
    return detector


def detections_on(frame_index: int, image: np.ndarray, detector: Detector) -> Iterator[Detection]:
    """Yield what a detector finds on a frame, cut off at the frame's edge.

    Raises:
        UsageError: The detector returns what no detector may.
    """
    boxes, scores, labels = _found(frame_index, detector(image))
    for (x0, y0, x1, y1), score, label in zip(boxes, scores, labels, strict=True):
        raw = (float(x0), float(y0), float(x1), float(y1))
        found = _checked(frame_index, raw, float(score), label)  # before clipping, which makes boxes of NaN
        box = clipped(found.box_xyxy, (image.shape[0], image.shape[1]))
        if box is not None:
            yield replace(found, box_xyxy=box)


def _found(frame_index: int, found: Any) -> Found:
    """Return boxes, scores and labels, as many of each."""
    where = f"detector, frame {frame_index}"
    try:
        boxes, scores, labels = found
        shapes = np.shape(boxes), np.shape(scores), len(labels)
    except (TypeError, ValueError):
        raise UsageError(f"{where}: returned {found!r:.80}; expected (boxes, scores, labels)") from None
    if shapes[0] not in ((shapes[2], 4), (0,)) or shapes[1] != (shapes[2],):
        raise UsageError(
            f"{where}: found boxes of shape {shapes[0]}, scores of shape {shapes[1]} and {shapes[2]} labels; "
            "expected (n, 4), (n,) and n"
        )
    for label in labels:
        if not isinstance(label, str | None):
            raise UsageError(f"{where}: label {label!r:.80}; expected a name, such as 'person', or None")
    return np.asarray(boxes, float), scores, labels


def _checked(frame_index: int, box: Any, score: float, label: str | None) -> Detection:
    try:
        return Detection(frame_index, box, score, label)
    except ValueError as error:
        raise UsageError(f"detector, frame {frame_index}: {error}") from None
