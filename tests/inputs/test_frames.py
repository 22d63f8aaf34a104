import threading

import numpy as np
import pytest

from pipeline.errors import DecodeCorrupt
from pipeline.inputs.frames import FramesConfig, open_frames, read_ahead
from pipeline.records import Frame
from tests.inputs.clips import write_clip

FRAME_BYTES = 4 * 4 * 3


def numbered(count, taken=None, fail_at=None):
    for index in range(count):
        if index == fail_at:
            raise DecodeCorrupt(f"frame {index}")
        if taken is not None:
            taken.append(index)
        yield Frame(index, index / 30, np.full((4, 4, 3), index, np.uint8), (4, 4))


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize(
    ("max_width_px", "image_hw"), [(None, (48, 64)), (64, (48, 64)), (100, (48, 64)), (32, (24, 32))]
)
def test_a_width_cap_shrinks_the_image_and_not_the_video(max_width_px, image_hw, tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=2)

    frames = list(open_frames(path, FramesConfig(max_width_px)))

    assert [frame.image.shape[:2] for frame in frames] == [image_hw] * 2
    assert [frame.video_size_hw for frame in frames] == [(48, 64)] * 2


def test_a_width_cap_averages_what_it_shrinks(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=1)
    full = next(open_frames(path, FramesConfig())).image

    small = next(open_frames(path, FramesConfig(8))).image

    assert small.std() < full.std() / 2


@pytest.mark.parametrize("max_bytes", [1, FRAME_BYTES, 3 * FRAME_BYTES, 1 << 20])
def test_reading_ahead_changes_no_frame(max_bytes):
    assert [frame.index for frame in read_ahead(numbered(10), max_bytes)] == list(range(10))


def test_reading_ahead_is_bounded_by_bytes():
    taken = []
    frames = read_ahead(numbered(100, taken), 3 * FRAME_BYTES)

    for index in range(20):
        next(frames)
        # Three in the queue, and one that waits for room.
        assert len(taken) <= index + 1 + 3 + 1
    frames.close()


def test_an_error_arrives_after_the_frames_before_it():
    frames = read_ahead(numbered(10, fail_at=3), 1 << 20)

    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DecodeCorrupt, match="frame 3"):
        next(frames)
    assert not readers()


def test_closing_stops_the_thread_and_closes_the_source():
    closed = []

    def endless():
        try:
            yield from numbered(10**6)
        finally:
            closed.append(True)

    frames = read_ahead(endless(), 2 * FRAME_BYTES)
    next(frames)
    frames.close()

    assert closed == [True]
    assert not readers()


def test_abandoning_it_leaves_no_thread():
    for frame in read_ahead(numbered(10**6), 2 * FRAME_BYTES):
        if frame.index == 5:
            break
    del frame

    assert not readers()


@pytest.mark.parametrize("wrong", [{"max_width_px": 0}, {"queue_bytes": 0}])
def test_a_wrong_setting_names_itself(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FramesConfig(**wrong)
