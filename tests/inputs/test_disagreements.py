"""Where masks and boxes part, and which object of a run is which of the detector's."""

import pytest

from pipeline.inputs.detection import Detection
from pipeline.inputs.disagreements import TrackedObject, corrections, tracklets_by_object
from pipeline.inputs.prompt_policy import PromptPolicy
from pipeline.inputs.tracklets import Tracklet

BOX = (10.0, 10.0, 30.0, 40.0)
FAR = (60.0, 10.0, 80.0, 40.0)
AGREED = dict.fromkeys(range(30), BOX)


def seen(frames, box=BOX, score=0.8):
    return [Detection(t, box, score) for t in frames]


def tracked(boxes, object_id=1, prompted=(0,), prompt_boxes=()):
    return TrackedObject(object_id, boxes, set(prompted), dict(prompt_boxes))


@pytest.mark.parametrize(
    ("boxes", "prompted", "expected"),
    [
        pytest.param(AGREED, {0}, [], id="they agree"),
        pytest.param(AGREED | dict.fromkeys(range(12, 30), FAR), {0}, [12], id="the mask went elsewhere"),
        pytest.param(AGREED | dict.fromkeys(range(12, 30)), {0}, [12], id="it is empty"),
        pytest.param(AGREED | dict.fromkeys(range(12, 16), FAR), {0}, [], id="not for long enough"),
        pytest.param(AGREED | dict.fromkeys([*range(5, 10), *range(20, 30)]), {0}, [5, 20], id="twice"),
        pytest.param(AGREED | dict.fromkeys(range(12, 30)), {0, 12}, [], id="a correction was no help"),
        pytest.param(
            AGREED | dict.fromkeys([12, *range(20, 30)]), {0, 12}, [20], id="after one that held for a while"
        ),
        pytest.param(dict.fromkeys(range(30)), {20}, [21], id="not before the first prompt"),
        pytest.param(dict.fromkeys(range(30)), set(), [0], id="from frame 0 on, if another video shows it"),
        pytest.param({}, set(), [], id="never tracked"),
    ],
)
def test_corrections_are_where_masks_and_boxes_part(boxes, prompted, expected):
    detections = seen(range(30))
    by_frame = {d.frame_index: d for d in detections}
    found = corrections(tracked(boxes, prompted=prompted), by_frame, set(detections), PromptPolicy())

    assert [d.frame_index for d in found] == expected


def test_what_the_detector_is_not_sure_of_is_no_evidence():
    detections = seen(range(30))
    sure = set(detections[20:])
    by_frame = {d.frame_index: d for d in detections}

    found = corrections(tracked(AGREED | dict.fromkeys(range(5, 30))), by_frame, sure, PromptPolicy())

    assert [d.frame_index for d in found] == [20]


def owners(objects, tracklets):
    owned = tracklets_by_object(objects, tracklets, PromptPolicy())
    return {object_id: [t.object_id for t in its] for object_id, its in owned.items() if its}


FIRST = Tracklet(1, tuple(seen(range(30))), None)
SECOND = Tracklet(2, tuple(seen(range(30), FAR)), None)


def test_objects_prompted_with_boxes_of_a_tracklet_are_that_tracklet_wherever_their_masks_went():
    swapped = [
        tracked(dict.fromkeys(range(30), FAR), 1, prompt_boxes={0: BOX}),
        tracked(AGREED, 2, prompt_boxes={0: FAR}),
    ]

    assert owners(swapped, [FIRST, SECOND]) == {1: [1], 2: [2]}


def test_objects_prompted_otherwise_are_where_their_masks_were():
    lost = AGREED | dict.fromkeys(range(12, 30))

    assert owners([tracked(lost, 7)], [FIRST, SECOND]) == {7: [1]}


def test_a_tracklet_is_of_the_object_that_was_on_it_for_longest():
    drifted = AGREED | dict.fromkeys(range(10, 30), FAR)
    at_home = dict.fromkeys(range(30), FAR)

    assert owners([tracked(drifted, 7), tracked(at_home, 8)], [FIRST, SECOND]) == {7: [1], 8: [2]}


def test_an_object_may_have_several_tracklets_one_after_the_other():
    early = Tracklet(1, tuple(seen(range(10))), None)
    late = Tracklet(2, tuple(seen(range(15, 30))), None)

    assert owners([tracked(AGREED, 7)], [early, late]) == {7: [2, 1]}
    assert owners([tracked(AGREED, 7)], [early, FIRST]) == {7: [1]}
