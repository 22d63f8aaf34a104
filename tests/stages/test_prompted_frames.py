"""The frames that carry prompts are found by index and by time, holding one frame at a time."""

import numpy as np
import pytest

from pipeline.errors import PromptInvalid
from pipeline.records import Frame, Prompt
from pipeline.stages.prompted_frames import visit_prompted_frames

TIMES = [0.0, 0.1, 0.15, 0.5, 0.6]  # a variable frame rate


def frames(times=TIMES):
    return [Frame(i, t, np.zeros((2, 2, 3), np.uint8), (2, 2)) for i, t in enumerate(times)]


def prompt(object_id=1, **where):
    return Prompt(object_id, box_xyxy=(0, 0, 1, 1), **where)


def visited(prompts, times=TIMES):
    found = []
    count = visit_prompted_frames(
        frames(times), prompts, lambda f, ps: found.append((f.index, [p.object_id for p in ps]))
    )
    return found, count


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
    assert visited([prompt(time_seconds=seconds)])[0] == [(index, [1])]


def test_frames_come_in_order_with_their_prompts_by_object():
    prompts = [prompt(3, frame_index=4), prompt(2, frame_index=1), prompt(1, time_seconds=0.12)]
    assert visited(prompts)[0] == [(1, [1, 2]), (4, [3])]


@pytest.mark.parametrize(("num_frames", "known"), [(1, 1), (15, 15), (16, 16), (17, 16), (40, 16)])
def test_the_number_of_frames_is_counted_up_to_16(num_frames, known):
    assert visited([prompt(frame_index=0)], [i / 10 for i in range(num_frames)])[1] == known


def test_nothing_is_decoded_past_the_last_prompt():
    source = iter(frames([i / 10 for i in range(100)]))
    visit_prompted_frames(source, [prompt(frame_index=30)], lambda *_: None)
    assert next(source).index <= 32


def test_a_prompt_past_the_end_names_the_object_and_the_length():
    with pytest.raises(PromptInvalid, match="object 1: prompt on frame 5, but the video has 5 frames"):
        visited([prompt(frame_index=5)])


def test_a_time_and_an_index_on_one_frame_are_two_prompts_of_one_object():
    with pytest.raises(PromptInvalid, match="two prompts on frame 1"):
        visited([prompt(frame_index=1), prompt(time_seconds=0.11)])
