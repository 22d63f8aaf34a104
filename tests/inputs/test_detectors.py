"""Detectors that come along, and any function or class in their place."""

import numpy as np
import pytest

from pipeline.errors import InputMissing, UsageError
from pipeline.inputs.detection import Detection, iou
from pipeline.inputs.detectors import DetectorConfig, detections_on, detector_maker
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.motion import MotionConfig
from pipeline.inputs.onnx_detector import OnnxConfig, OnnxKind, boxes_of
from tests.clips import DISC_BOX, SQUARE_BOX, moving_shapes
from tests.conftest import REPOSITORY
from tests.inputs.onnx_files import write_model

BLACK = np.zeros((50, 100, 3), np.uint8)


def make_detector():
    return lambda image: (np.array([[1.0, 2.0, 300.0, 40.0]]), np.array([0.7]), ["thing"])


ONE_BOX = np.array([[1.0, 2.0, 30.0, 40.0]])


def wrong_shapes(image):
    return np.zeros((2, 4)), np.zeros(1), ["thing"]


def wrong_score(image):
    return np.array([[1.0, 2.0, 30.0, 40.0]]), np.array([7.0]), [None]


class Counting:
    """A detector that remembers how many frames it saw."""

    def __init__(self):
        self.seen = 0

    def __call__(self, image):
        self.seen += 1
        return np.array([[0.0, 0.0, self.seen, 1.0]]), np.ones(1), [None]


def make(detector, **config):
    return detector_maker(DetectorConfig(detector, **config))


def test_any_function_may_be_the_detector_and_boxes_are_cut_at_the_edge():
    detector = make(f"{__name__}:make_detector")()

    assert list(detections_on(3, BLACK, detector)) == [Detection(3, (1, 2, 100, 40), 0.7, "thing")]


def test_each_video_has_a_detector_of_its_own():
    maker = make(f"{__name__}:Counting")
    first, second = maker(), maker()
    seen = [d.box_xyxy[2] for detector in (first, first, second) for d in detections_on(0, BLACK, detector)]

    assert seen == [1, 2, 1]


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (
            "nowhere:none",
            "expected motion, onnx or module:function: ModuleNotFoundError",
        ),
        (f"{__name__}:none", "detector=.*none"),
        ("yolo", "detector=yolo"),
    ],
)
def test_a_detector_that_is_not_there_is_refused(detector, message):
    with pytest.raises(UsageError, match=message):
        make(detector)


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (
            wrong_shapes,
            r"frame 5: found boxes of shape \(2, 4\), scores of shape \(1,\) and 1 labels; expected",
        ),
        (wrong_score, "frame 5: detection: score is 7, allowed: 0 to 1"),
        (lambda image: (ONE_BOX * np.nan, np.ones(1), [None]), "frame 5: .*finite pixel coordinates"),
        (lambda image: (ONE_BOX[:, ::-1], np.ones(1), [None]), "frame 5: .*x0 < x1"),
        (lambda image: (ONE_BOX, np.ones(1), [0]), "frame 5: label 0; expected a name"),
        (
            lambda image: (ONE_BOX, np.ones(1), None),
            r"frame 5: returned .*; expected \(boxes, scores, labels\)",
        ),
        (lambda image: None, r"frame 5: returned None; expected \(boxes, scores, labels\)"),
    ],
)
def test_a_detector_that_returns_what_it_may_not_is_told_so(detector, message):
    with pytest.raises(UsageError, match=message):
        list(detections_on(5, BLACK, detector))


@pytest.mark.parametrize("name", ["wrong_score", "make_nothing"])
def test_what_makes_no_detector_is_told_so(name):
    with pytest.raises(UsageError, match="expected a function without arguments that returns a detector"):
        make(f"{__name__}:{name}")()


def make_nothing():
    return None


def middle(detection):
    x0, y0, x1, y1 = detection.box_xyxy
    return (x0 + x1) / 2, (y0 + y1) / 2


def test_what_moves_is_detected_and_the_rest_is_not():
    still = list(moving_shapes(1)) * 12
    detector = make("motion", motion=MotionConfig(warm_up_frames=10))()
    for image in (*still, *list(moving_shapes(60))[30:]):
        found = list(detections_on(0, image, detector))

    moved = [((DISC_BOX[0] + DISC_BOX[2]) / 2 + 59, 39), ((SQUARE_BOX[0] + SQUARE_BOX[2]) / 2 - 59, 62)]
    for x, y in moved:
        assert any(abs(middle(d)[0] - x) < 8 and abs(middle(d)[1] - y) < 8 for d in found)


def test_what_a_camera_exposes_for_longer_has_not_moved():
    still = next(iter(moving_shapes(1)))
    detector = make("motion", motion=MotionConfig(warm_up_frames=10))()
    found = []
    for gain in (*[1.0] * 15, *np.linspace(1, 1.3, 15), *np.linspace(1.3, 0.7, 15)):
        image = np.clip(still * gain, 0, 255).astype(np.uint8)
        found += detections_on(0, image, detector)

    assert found == []


def test_a_bottle_that_is_put_on_the_table_is_detected_and_the_ones_that_stand_there_are_not():
    clip = REPOSITORY / "pipeline" / "bundled" / "clips" / "bottles.mp4"
    detector = make("motion")()
    frames = open_frames(clip, FramesConfig(), only=range(0, 161, 2))
    by_frame = {frame.index: list(detections_on(frame.index, frame.image, detector)) for frame in frames}
    put_down, standing = (67, 112, 131, 311), ((285, 110, 347, 313), (508, 107, 573, 314))

    assert [d for d in by_frame[160] if iou(d.box_xyxy, put_down) > 0.7]
    assert not [
        d for t in range(60, 161, 2) for d in by_frame[t] for box in standing if iou(d.box_xyxy, box) > 0.5
    ]


# A cat left of the middle, as each kind of network says it: boxes of 10 to 30 and 20 to 60 of 100 and 100.
YOLO = np.zeros((1, 6, 8), np.float32)
YOLO[0, :, 0] = [12.8, 25.6, 12.8, 25.6, 0.1, 0.9]  # x, y, width, height in pixels of 64 x 64, two classes
YOLO[0, :, 1] = [13.0, 25.6, 12.8, 25.6, 0.1, 0.8]  # the same cat once more
YOLO_NMS = np.array([[[6.4, 12.8, 19.2, 38.4, 0.9, 1], [0, 0, 9, 9, 0.01, 0]]], np.float32)
BOXES = np.array([[[0.2, 0.4, 0.2, 0.4], [0.5, 0.5, 0.1, 0.1]]], np.float32)
LOGITS = np.array([[[-5, np.log(9)], [-9, -9]]], np.float32)


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [
        (OnnxKind.yolo, {"output0": YOLO}),
        (OnnxKind.yolo_nms, {"output0": YOLO_NMS}),
        (OnnxKind.detr, {"logits": LOGITS, "pred_boxes": BOXES}),
        (OnnxKind.detr, {"dets": BOXES, "labels": LOGITS}),
    ],
)
def test_networks_of_each_kind_say_the_same(kind, outputs, tmp_path):
    pytest.importorskip("onnxruntime")
    model = write_model(tmp_path / "m.onnx", outputs, (1, 3, 64, 64))
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    config = OnnxConfig(str(model), kind, str(tmp_path / "names.txt"))

    [found] = detections_on(0, BLACK, make("onnx", onnx=config)())

    assert found.box_xyxy == pytest.approx((10, 10, 30, 30), abs=1e-4)
    assert (round(found.score, 3), found.label) == (0.9, "cat")


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [
        (OnnxKind.yolo, [YOLO_NMS]),
        (OnnxKind.yolo, [YOLO.transpose(0, 2, 1)]),
        (OnnxKind.yolo_nms, [YOLO]),
        (OnnxKind.detr, [LOGITS]),
    ],
)
def test_a_network_of_another_kind_is_named_with_what_it_gives(kind, outputs):
    with pytest.raises(UsageError, match=rf"onnx.kind={kind.value} expects .*; this network gives \[\("):
        boxes_of(outputs, OnnxConfig(kind=kind), (64, 64))


def test_masks_beside_a_detr_s_boxes_are_left_aside_and_four_classes_are_told_from_boxes():
    logits = np.array([[[-5, np.log(9), -9, -9], [-9, -9, -9, -9]]], np.float32)
    masks = np.zeros((1, 2, 8, 8), np.float32)
    boxes, _, classes = boxes_of([logits, masks, BOXES], OnnxConfig(kind=OnnxKind.detr), (64, 64))
    assert boxes == pytest.approx(np.array([[0.1, 0.2, 0.3, 0.6]]))
    assert list(classes) == [1]


def test_what_is_no_onnx_file_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_text("no network")
    with pytest.raises(UsageError, match=r"m\.onnx: ONNX Runtime can't load it"):
        make("onnx", onnx=OnnxConfig(str(tmp_path / "m.onnx")))


def test_a_network_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"needs onnx\.model=FILE"):
        make("onnx")
    with pytest.raises(InputMissing, match=r"none\.onnx: no such file"):
        make("onnx", onnx=OnnxConfig("none.onnx"))
