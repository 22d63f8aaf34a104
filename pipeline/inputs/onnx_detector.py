"""A detector as an ONNX file, run by ONNX Runtime: the usual exports of YOLO and of DETR."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.errors import InputMissing, UsageError
from pipeline.inputs.detection import Found

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class OnnxKind(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """What the network returns."""

    yolo = "yolo"  # one output (1, 4 + class, candidate): x, y, width, height in input pixels, class scores
    yolo_nms = "yolo_nms"  # one output (1, candidate, 6): x0, y0, x1, y1 in input pixels, score, class
    detr = "detr"  # (1, query, 4): x, y, width, height as shares, and (1, query, class): logits


EXPECTED = {
    OnnxKind.yolo: "an output (1, 4 + classes, candidates), with more candidates than classes",
    OnnxKind.yolo_nms: "an output (1, candidates, 6)",
    OnnxKind.detr: "outputs (1, queries, 4), of shares, and (1, queries, classes)",
}


@dataclass
class OnnxConfig:
    """Which network, and which of its boxes count."""

    model: str | None = None  # path of the ONNX file
    kind: OnnxKind = OnnxKind.yolo
    names: str | None = None  # file of class names, one a line; null: the class's number
    image_size_px: int = 640  # of the square that a frame is stretched to, where the network takes any
    imagenet: bool = False  # take ImageNet's mean from colours and divide by its deviation, as RF-DETR wants
    min_score: float = 0.1  # low ones help ByteTrack to keep an object
    same_iou: float = 0.7  # of boxes of one class that are of one thing; only of `yolo`

    def __post_init__(self):
        if self.image_size_px < 1:
            raise ValueError(f"onnx.image_size_px must be 1 or more, got {self.image_size_px}")
        for name in ("min_score", "same_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"onnx.{name} must be 0 to 1, got {getattr(self, name)}")


class OnnxDetector:
    """Stretches a frame to the network's square, RGB from 0 to 1, and reads boxes from what comes back."""

    def __init__(self, config: OnnxConfig):
        self._config = config
        self._session = _session(config.model)
        self._input = self._session.get_inputs()[0]
        self._names = _class_names(config.names) if config.names else []

    def __call__(self, image: np.ndarray) -> Found:
        height, width = (_or(side, self._config.image_size_px) for side in self._input.shape[2:4])
        square = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        colours = square.astype(np.float32) / 255
        if self._config.imagenet:
            colours = (colours - IMAGENET_MEAN) / IMAGENET_DEVIATION
        tensor = np.ascontiguousarray(colours.transpose(2, 0, 1)[None])
        outputs = self._session.run(None, {self._input.name: tensor})
        boxes, scores, classes = boxes_of(outputs, self._config, (height, width))
        scale = np.array([image.shape[1], image.shape[0]] * 2)
        return boxes * scale, scores, [self._name(int(number)) for number in classes]

    def _name(self, number: int) -> str:
        return self._names[number] if number < len(self._names) else str(number)


def boxes_of(
    outputs: Sequence[np.ndarray], config: OnnxConfig, input_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes, (n, 4) as x0, y0, x1, y1 in shares of the frame, scores and class numbers, (n,).

    Args:
        outputs: Of the network, as `OnnxKind` says.
        input_hw: Size of the network's input in pixels.
    """
    outputs = _in_order(outputs, config.kind)
    pixels = np.array([input_hw[1], input_hw[0]] * 2)
    if config.kind is OnnxKind.yolo_nms:
        found = outputs[0][0]
        boxes, scores, classes = found[:, :4] / pixels, found[:, 4], found[:, 5]
    elif config.kind is OnnxKind.yolo:
        found = outputs[0][0].T
        boxes, by_class = _corners(found[:, :4] / pixels), found[:, 4:]
        scores, classes = by_class.max(1), by_class.argmax(1)
    else:
        centres, logits = outputs[0][0], outputs[1][0]
        by_class = 1 / (1 + np.exp(-logits))
        boxes, scores, classes = _corners(centres), by_class.max(1), by_class.argmax(1)
    # Networks give degenerate boxes too, of low scores mostly.
    is_box = np.isfinite(boxes).all(1) & (boxes[:, :2] < boxes[:, 2:]).all(1)
    kept = np.flatnonzero((scores >= config.min_score) & is_box)
    if config.kind is OnnxKind.yolo:
        kept = kept[_not_doubled(boxes[kept], scores[kept], classes[kept], config.same_iou)]
    return boxes[kept], np.clip(scores[kept], 0, 1), classes[kept]


def _in_order(outputs: Sequence[np.ndarray], kind: OnnxKind) -> list[np.ndarray]:
    """Return the outputs that are read, boxes first; others, such as masks, are left aside.

    Raises:
        UsageError: There are none of the shapes that this kind has.
    """
    flat = [output for output in outputs if output.ndim == 3]
    if kind is OnnxKind.detr:
        boxes = [o for o in flat if o.shape[2] == 4 and o.min(initial=0) >= 0 and o.max(initial=0) <= 1]
        logits = [o for o in flat if boxes and o is not boxes[0] and o.shape[1] == boxes[0].shape[1]]
        found = [boxes[0], logits[0]] if logits else []
    elif kind is OnnxKind.yolo_nms:
        found = [output for output in flat if output.shape[2] == 6][:1]
    else:
        found = [output for output in flat if 4 < output.shape[1] < output.shape[2]][:1]
    if not found:
        shapes = [output.shape for output in outputs]
        raise UsageError(
            f"onnx.kind={kind.value} expects {EXPECTED[kind]}; this network gives {shapes}: try another "
            "kind, or export it anew"
        )
    return found


def _not_doubled(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, same_iou: float) -> np.ndarray:
    import supervision as sv

    order = np.arange(len(boxes))
    found = sv.Detections(boxes, confidence=scores, class_id=classes.astype(int), data={"place": order})
    return np.asarray(found.with_nms(same_iou).data["place"]) if len(boxes) else order


def _corners(boxes: np.ndarray) -> np.ndarray:
    """Return x0, y0, x1, y1 of boxes given by centre and size."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], 1)


def _or(side: Any, otherwise: int) -> int:
    """Return a side of the network's input, where it is no name for "any"."""
    return side if isinstance(side, int) else otherwise


def _session(model: str | None) -> Any:
    if model is None:
        raise UsageError("detector=onnx needs onnx.model=FILE")
    if not Path(model).is_file():
        raise InputMissing(f"{model}: no such file; onnx.model must be an ONNX file")
    try:
        import onnxruntime
    except ImportError:
        raise UsageError("detector=onnx needs ONNX Runtime: pip install 'sam2-batch[onnx]'") from None
    try:
        return onnxruntime.InferenceSession(model, providers=onnxruntime.get_available_providers())
    except Exception as error:  # its own classes derive from nothing more
        raise UsageError(f"{model}: ONNX Runtime can't load it: {error}") from None


def _class_names(file: str) -> list[str]:
    if not Path(file).is_file():
        raise InputMissing(f"{file}: no such file; onnx.names must be a text file with a class a line")
    return Path(file).read_text().splitlines()
