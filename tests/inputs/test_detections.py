"""Detections of four formats are the same detections; what does not fit a video is named."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputMissing, ManifestError, UsageError
from pipeline.inputs.detection import Detection
from pipeline.inputs.detections import DetectionFormat, read_detections, write_detections
from pipeline.inputs.detectors import MotionConfig, detect, load_detector
from pipeline.inputs.probe import VideoFacts
from pipeline.inputs.tracklets import ByteTrackConfig, tracklets_of
from pipeline.records import Frame
from tests.clips import DISC_BOX, moving_shapes

FACTS = VideoFacts((100, 200), 20, 0.8)
CAT = Detection(0, (20.0, 10.0, 60.0, 50.0), 0.75, "cat")
DOG = Detection(7, (100.0, 20.0, 180.0, 90.0), 0.5, "dog")


def facts_of(video_id):
    return FACTS if video_id == "a" else None


def as_parquet(folder):
    write_detections({"a": [DOG, CAT]}, folder / "boxes.parquet")
    return folder / "boxes.parquet"


def as_coco(folder):
    content = {
        "images": [
            {"id": 3, "video_id": "a", "frame_index": 7},
            {"id": 4, "video_id": "a", "frame_index": 0},
        ],
        "annotations": [
            {"image_id": 3, "bbox": [100, 20, 80, 70], "score": 0.5, "category_id": 2},
            {"image_id": 4, "bbox": [20, 10, 40, 40], "score": 0.75, "category_id": 1},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


def as_yolo(folder):
    (folder / "a").mkdir()
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "a" / "a_0.txt").write_text("0 0.2 0.3 0.2 0.4 0.75\n")
    (folder / "a" / "a_7.txt").write_text("1 0.7 0.55 0.4 0.7 0.5\n")
    return folder


def as_mot(folder):
    (folder / "a.txt").write_text("8,-1,100,20,80,70,0.5,-1,-1,-1\n1,-1,20,10,40,40,0.75,-1,-1,-1\n")
    return folder


@pytest.mark.parametrize(
    ("kind", "write"), [("parquet", as_parquet), ("coco", as_coco), ("yolo", as_yolo), ("mot", as_mot)]
)
def test_every_format_gives_the_same_boxes(tmp_path, kind, write):
    found = read_detections(write(tmp_path), DetectionFormat(kind), facts_of)["a"]
    assert [d.frame_index for d in found] == [0, 7]
    for one, expected in zip(found, (CAT, DOG), strict=True):
        assert one.box_xyxy == pytest.approx(expected.box_xyxy)
        assert one.score == expected.score
        assert one.label == (None if kind == "mot" else expected.label)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"video_id": "b"}, "row 0, column video_id: found b", id="a video that is not there"),
        pytest.param(
            {"frame_index": 20}, "column frame_index: found 20; allowed: 0 to 19", id="past the end"
        ),
        pytest.param({"frame_index": -1}, "found frame_index is -1", id="a negative frame"),
        pytest.param({"box_xyxy": [5, 5, 5, 9]}, "x0 < x1", id="no area"),
        pytest.param({"box_xyxy": [250, 5, 260, 9]}, "inside the frame, 200x100", id="outside"),
        pytest.param({"score": 1.5}, "score is 1.5, allowed: 0 to 1", id="a score above 1"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, row, message):
    good = {"video_id": "a", "frame_index": 0, "box_xyxy": [1, 2, 3, 4], "score": 0.5}
    pq.write_table(pa.Table.from_pylist([good | row]), tmp_path / "boxes.parquet")
    with pytest.raises(ManifestError, match=message):
        read_detections(tmp_path / "boxes.parquet", DetectionFormat.parquet, facts_of)


def test_a_box_that_goes_beyond_the_frame_is_cut_at_its_edge(tmp_path):
    write_detections({"a": [Detection(0, (-5, 90, 30, 120), 0.5)]}, tmp_path / "boxes.parquet")
    (found,) = read_detections(tmp_path / "boxes.parquet", DetectionFormat.parquet, facts_of)["a"]
    assert found.box_xyxy == (0, 90, 30, 100)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("mot", "a.txt", "1,2,three,4,5,6,7\n"),
        ("yolo", "a/a_1.txt", "0 0.5 0.5\n"),
        ("coco", "boxes.json", '{"images": []}'),
        ("coco", "boxes.json", "no JSON"),
    ],
)
def test_lines_that_can_t_be_read_are_faults(tmp_path, kind, name, text):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    with pytest.raises(ManifestError, match="1 faults"):
        read_detections(file if kind == "coco" else tmp_path, DetectionFormat(kind), facts_of)


def test_columns_that_are_missing_and_files_that_are_not_there(tmp_path):
    pq.write_table(pa.Table.from_pylist([{"video_id": "a"}]), tmp_path / "boxes.parquet")
    with pytest.raises(ManifestError, match="column frame_index: found no such column"):
        read_detections(tmp_path / "boxes.parquet", DetectionFormat.parquet, facts_of)
    with pytest.raises(InputMissing):
        read_detections(tmp_path / "none", DetectionFormat.mot, facts_of)


def crossing(frames, gap=()):
    """Return two objects that pass each other, the second unseen on some frames."""
    for t in frames:
        yield Detection(t, (10 + 4.0 * t, 10, 40 + 4.0 * t, 50), 0.9)
        if t not in gap:
            yield Detection(t, (160 - 4.0 * t, 55, 190 - 4.0 * t, 95), 0.8)


def test_boxes_are_joined_to_objects_by_where_they_go():
    tracklets = tracklets_of(list(crossing(range(20), gap=(9, 10))), 25.0, ByteTrackConfig())
    assert {i: len({d.box_xyxy[1] for d in its}) for i, its in tracklets.items()} == {1: 1, 2: 1}
    assert [len(its) for its in tracklets.values()] == [18, 16]  # less the two that a birth takes


def test_the_same_boxes_give_the_same_objects():
    boxes = list(crossing(range(20)))
    assert tracklets_of(boxes, 25.0, ByteTrackConfig()) == tracklets_of(boxes, 25.0, ByteTrackConfig())


def test_what_moves_is_detected_and_the_rest_is_not():
    detector = load_detector("motion", MotionConfig(warm_up_frames=2))
    frames = [Frame(t, t / 25, image, image.shape[:2]) for t, image in enumerate(moving_shapes(30))]
    last = [d for d in detect(frames, detector) if d.frame_index == 29]
    middles = sorted((d.box_xyxy[0] + d.box_xyxy[2]) / 2 for d in last)
    assert middles[0] == pytest.approx((DISC_BOX[0] + DISC_BOX[2]) / 2 + 29, abs=12)


def make_detector():
    return lambda image: (np.array([[1.0, 2.0, 30.0, 40.0]]), np.array([0.7]), ["thing"])


def test_any_function_may_be_the_detector():
    detector = load_detector(f"{__name__}:make_detector", MotionConfig())
    (frame,) = [Frame(3, 0.1, np.zeros((50, 60, 3), np.uint8), (50, 60))]
    assert list(detect([frame], detector)) == [Detection(3, (1, 2, 30, 40), 0.7, "thing")]
    with pytest.raises(UsageError, match="detector=nowhere:none"):
        load_detector("nowhere:none", MotionConfig())
