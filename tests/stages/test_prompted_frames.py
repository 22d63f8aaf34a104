"""Prompts by time are given the frame on show then; clashes of prompts on one frame are refused."""

import pytest

from pipeline.errors import PromptInvalid
from pipeline.records import Direction, Prompt
from pipeline.stages.prompted_frames import first_frames, placed, refuse_clashes

TIMES = [0.0, 0.1, 0.15, 0.5, 0.6]  # a variable frame rate


def prompt(object_id=1, **more):
    return Prompt(object_id, box_xyxy=(0, 0, 1, 1), **more)


def correction(frame_index, object_id=1):
    return prompt(object_id, frame_index=frame_index, is_correction=True)


@pytest.mark.parametrize(
    ("seconds", "index"),
    [
        pytest.param(0.0, 0, id="at its start"),
        pytest.param(0.09, 0, id="before the next one"),
        pytest.param(0.1, 1, id="as the next one starts"),
        pytest.param(0.49, 2, id="during a long frame"),
        pytest.param(9.0, 4, id="the last frame stays on show"),
    ],
)
def test_a_time_means_the_frame_on_show(seconds, index):
    (found,), _ = placed(TIMES, [prompt(time_seconds=seconds)])
    assert (found.frame_index, found.time_seconds) == (index, None)


def test_prompts_stay_in_order_and_those_by_frame_stay_as_they_are():
    prompts = [prompt(3, frame_index=4), prompt(2, frame_index=1), prompt(1, time_seconds=0.12)]
    assert placed(TIMES, prompts)[0] == [*prompts[:2], prompt(1, frame_index=1)]


@pytest.mark.parametrize(("num_frames", "known"), [(0, 0), (1, 1), (15, 15), (16, 16), (17, 16), (40, 16)])
def test_the_number_of_frames_is_counted_up_to_16(num_frames, known):
    assert placed([i / 10 for i in range(num_frames)], [prompt(frame_index=0)])[1] == known


def test_nothing_is_decoded_past_the_last_time():
    source = iter([i / 10 for i in range(100)])
    placed(source, [prompt(frame_index=50), prompt(2, time_seconds=2.95)])
    assert next(source) <= 3.2


def test_an_object_is_tracked_from_its_first_key_frame_and_from_the_start_where_another_video_shows_it():
    seen_elsewhere = prompt(2, frame_index=70, video_uri="b.mp4")
    prompts = [prompt(frame_index=9), prompt(frame_index=5), correction(3), seen_elsewhere]
    assert first_frames([*prompts, prompt(2, frame_index=8)]) == {1: 5, 2: 0}


@pytest.mark.parametrize(
    ("prompts", "direction", "message"),
    [
        pytest.param([prompt(frame_index=1)] * 2, Direction.FORWARD, "two prompts on frame 1", id="twice"),
        pytest.param(
            [prompt(frame_index=1), correction(1)],
            Direction.FORWARD,
            "two prompts on frame 1",
            id="of two kinds",
        ),
        pytest.param(
            [prompt(frame_index=4), correction(2)],
            Direction.FORWARD,
            "before its first keyframe",
            id="too early",
        ),
        pytest.param(
            [prompt(frame_index=4), correction(6)],
            Direction.BACKWARD,
            "after its first keyframe",
            id="too late",
        ),
        pytest.param(
            [prompt(frame_index=4), correction(6, 2)], Direction.FORWARD, "object 2", id="of no known object"
        ),
    ],
)
def test_what_contradicts_itself_is_refused(prompts, direction, message):
    with pytest.raises(PromptInvalid, match=message):
        refuse_clashes(prompts, direction)


def test_a_frame_of_another_video_is_another_frame():
    refuse_clashes([prompt(frame_index=1), prompt(frame_index=1, video_uri="b.mp4")], Direction.FORWARD)
