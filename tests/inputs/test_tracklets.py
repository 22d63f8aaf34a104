"""Boxes of one object are joined, whatever the order of rows, gaps and classes."""

import random

import pytest

from pipeline.inputs.detection import Detection
from pipeline.inputs.tracklets import ByteTrackConfig, tracklets_of

FRAMES_PER_SECOND = 25.0


def passing(frames, gap=(), labels=("car", "car")):
    """Return two objects that pass each other, the second one not seen on some frames."""
    right = [Detection(t, (10 + 4 * t, 10, 40 + 4 * t, 50), 0.9, labels[0]) for t in frames]
    left = [Detection(t, (160 - 4 * t, 30, 190 - 4 * t, 70), 0.8, labels[1]) for t in frames if t not in gap]
    return sorted(right + left, key=lambda d: d.frame_index)


def joined(detections, **config):
    tracklets = tracklets_of(detections, FRAMES_PER_SECOND, ByteTrackConfig(**config))
    return {t.object_id: [d.frame_index for d in t.detections] for t in tracklets}


def test_objects_keep_their_boxes_from_the_first_one_on():
    tracklets = tracklets_of(passing(range(30)), FRAMES_PER_SECOND, ByteTrackConfig())

    assert [len(t.detections) for t in tracklets] == [30, 30]
    assert [{d.score for d in t.detections} for t in tracklets] == [{0.9}, {0.8}]
    assert [(t.object_id, t.label) for t in tracklets] == [(1, "car"), (2, "car")]


def test_ids_go_by_birth_and_not_by_the_order_of_rows():
    boxes = [d for d in passing(range(30)) if d.score == 0.8 or d.frame_index >= 5]
    expected = tracklets_of(boxes, FRAMES_PER_SECOND, ByteTrackConfig())
    random.Random(0).shuffle(boxes)
    boxes.sort(key=lambda d: d.frame_index)

    assert tracklets_of(boxes, FRAMES_PER_SECOND, ByteTrackConfig()) == expected
    assert expected[0].detections[0].score == 0.8


@pytest.mark.parametrize(
    ("gap", "lost_seconds", "objects"),
    [
        pytest.param(range(10, 20), 1.0, 2, id="picked up again"),
        pytest.param(range(10, 20), 0.2, 3, id="lost for too long: another one"),
    ],
)
def test_an_object_that_is_not_seen_for_a_while(gap, lost_seconds, objects):
    assert len(joined(passing(range(40), gap), lost_seconds=lost_seconds)) == objects


def test_two_things_of_one_class_that_stay_apart_are_two_objects():
    twins = [Detection(t, (x, 10, x + 20, 30), 0.9, "bottle") for t in range(10) for x in (10, 60)]

    assert joined(twins) == {1: list(range(10)), 2: list(range(10))}


def test_classes_are_kept_apart_if_asked_for():
    changing = [Detection(t, (10, 10, 40, 50), 0.9, "van" if t in (5, 6, 7) else "car") for t in range(12)]

    assert joined(changing) == {1: [0, 1, 2, 3, 4, 8, 9, 10, 11], 2: [5, 6, 7]}
    [together] = tracklets_of(changing, FRAMES_PER_SECOND, ByteTrackConfig(per_label=False))
    assert (len(together.detections), together.label) == (12, "car")


@pytest.mark.parametrize(
    ("detections", "config", "expected"),
    [
        pytest.param([(0, 0.9)], {}, {}, id="one box is no object"),
        pytest.param([(0, 0.9)], {"min_length_frames": 1}, {1: [0]}, id="or is, if asked for"),
        pytest.param([(0, 0.9), (2, 0.9), (3, 0.9)], {}, {1: [0, 2, 3]}, id="missed once at birth"),
        pytest.param([(t, 0.4) for t in range(9)], {}, {}, id="never sure enough to be born"),
        pytest.param(
            [(0, 0.9), (1, 0.2), (2, 0.9)], {}, {1: [0, 1, 2]}, id="unsure boxes continue an object"
        ),
        pytest.param(
            [(t, 0.9) for t in range(0, 50, 5)],
            {"every_frames": 5},
            {1: [*range(0, 50, 5)]},
            id="seen on one frame in five",
        ),
    ],
)
def test_births(detections, config, expected):
    boxes = [Detection(t, (10, 10, 40, 50), score) for t, score in detections]

    assert joined(boxes, **config) == expected
