"""A cut is where the scene changes, not where an object moves; found the same from wherever one begins."""

import numpy as np
import pytest

from pipeline.inputs.cuts import mark_cuts
from pipeline.records import Frame
from tests.clips import moving_shapes

THRESHOLD = 27.0


def frames_of(images, start=0):
    for index, image in enumerate(images):
        if index >= start:
            yield Frame(index, index / 25, image, image.shape[:2])


def two_scenes():
    shapes = list(moving_shapes(12))
    return [*shapes[:5], *(np.roll(255 - image, 40, axis=1) for image in shapes[5:9]), *shapes[9:]]


def cuts_in(frames, before=None):
    return [frame.index for frame in mark_cuts(frames, THRESHOLD, before) if frame.is_after_cut]


def test_cuts_are_found_and_motion_is_none():
    assert cuts_in(frames_of(two_scenes())) == [5, 9]
    assert cuts_in(frames_of(moving_shapes(12))) == []


@pytest.mark.parametrize("start", [4, 5, 6])
def test_gone_on_from_any_frame_the_cuts_are_the_same(start):
    frames = list(mark_cuts(frames_of(two_scenes(), start - 1), THRESHOLD, before=start - 1))
    assert frames[0].index == start
    assert [frame.index for frame in frames if frame.is_after_cut] == [t for t in (5, 9) if t >= start]


def test_backward_the_frame_before_a_cut_is_the_new_scene():
    assert cuts_in(frame for frame in reversed(list(frames_of(two_scenes())))) == [8, 4]


def test_red_that_wraps_around_the_circle_of_hues_is_no_change():
    red, nearly = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    red[:], nearly[:] = (200, 0, 8), (200, 8, 0)
    assert cuts_in(frames_of([red, nearly, red])) == []
