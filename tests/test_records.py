"""A record cannot exist in a wrong shape."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.records import Frame, FrameMasks, Prompt, Rle, Shard

GOOD = Prompt(1, 0, points_xy=((1.0, 2.0),), point_labels=(1,))


@pytest.mark.parametrize(
    ("change", "column"),
    [
        pytest.param({"object_id": 0}, "object_id", id="object ids start at 1"),
        pytest.param({"frame_index": -1}, "frame_index", id="negative frame"),
        pytest.param({"time_seconds": 1.0}, "frame_index", id="both a frame and a time"),
        pytest.param({"frame_index": None}, "frame_index", id="neither a frame nor a time"),
        pytest.param({"frame_index": None, "time_seconds": float("nan")}, "time_seconds", id="no time"),
        pytest.param({"points_xy": (), "point_labels": ()}, "points_xy", id="nothing prompted"),
        pytest.param({"point_labels": (1, 0)}, "point_labels", id="more labels than points"),
        pytest.param({"point_labels": (2,)}, "point_labels", id="a label that is no label"),
        pytest.param({"mask": Rle((4, 4), b"")}, "mask_rle", id="a mask beside points"),
        pytest.param({"points_xy": ((float("inf"), 0),)}, "points_xy", id="infinitely far"),
        pytest.param({"box_xyxy": (4, 0, 2, 3)}, "box_xyxy", id="a box from right to left"),
    ],
)
def test_a_wrong_prompt_is_refused_by_column(change, column):
    with pytest.raises(ValueError, match=column):
        replace(GOOD, **change)


def test_a_box_may_come_with_points():
    assert replace(GOOD, box_xyxy=(0, 0, 3, 3)).points_xy == GOOD.points_xy


def test_a_shard_needs_a_prompt():
    with pytest.raises(ValueError, match="at least one prompt"):
        Shard("a", "a", "a.mp4", ())


def test_a_frame_is_rgb_bytes():
    with pytest.raises(ValueError, match="uint8"):
        Frame(0, 0.0, np.zeros((2, 2, 3), np.float32), (2, 2))


def test_masks_come_one_an_object():
    numbers = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match=r"frame 12: 2 object ids need as many masks of one size"):
        FrameMasks(12, 0.4, (1, 2), (Rle((4, 4), b""),), numbers, numbers, numbers > 0, numbers)
