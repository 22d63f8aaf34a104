"""Frames last to first are the same frames, however little of them fits on the disk at a time."""

import numpy as np
import pytest

from pipeline.inputs.backward import backward
from pipeline.inputs.frames import FramesConfig, open_frames
from tests.inputs.clips import write_clip


@pytest.mark.parametrize("frames_at_once", [1, 3, 7, 100])
@pytest.mark.parametrize("last", [0, 6, 11])
def test_the_frames_are_those_of_the_way_forward(tmp_path, frames_at_once, last):
    clip = write_clip(tmp_path / "a.mp4", frames=12)
    forward = list(open_frames(clip, FramesConfig()))
    spool = tmp_path / "spool"
    spool.mkdir()
    max_bytes = frames_at_once * forward[0].image.nbytes

    frames = list(
        backward(lambda start: open_frames(clip, FramesConfig(), start), last, max_bytes, str(spool))
    )

    assert [frame.index for frame in frames] == list(range(last, -1, -1))
    for frame in frames:
        assert np.array_equal(frame.image, forward[frame.index].image)
        assert frame.time_seconds == forward[frame.index].time_seconds
    assert list(spool.iterdir()) == []


def test_the_disk_holds_no_more_than_it_may(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", frames=12)
    image_bytes = next(open_frames(clip, FramesConfig())).image.nbytes
    spool = tmp_path / "spool"
    spool.mkdir()
    for _ in backward(
        lambda start: open_frames(clip, FramesConfig(), start), 11, 4 * image_bytes, str(spool)
    ):
        assert len(list(spool.rglob("*.npy"))) < 4
