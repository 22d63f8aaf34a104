"""With a limit, key frames are given as tracking comes near; the masks are those of all given at once."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.engine.config import TrackingConfig
from pipeline.engine.state import VideoState
from pipeline.errors import PromptInvalid
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.resize import to_model_input
from pipeline.records import Frame, Prompt
from pipeline.stages.key_frames import KeyFrames
from tests.clips import DISC_BOX, SQUARE_BOX
from tests.engine.oracle import official_logits, official_predictor
from tests.engine.scenes import nano_model
from tests.stages.segmenting import CONFIG, EVERY, FRAMES, Cut, segment
from tests.stages.test_segment import masks_of


def disc_on(frame_index):
    x0, y0, x1, y1 = DISC_BOX
    return Prompt(1, frame_index, box_xyxy=(x0 + frame_index, y0, x1 + frame_index, y1))


def square_on(frame_index):
    x0, y0, x1, y1 = SQUARE_BOX
    return Prompt(5, frame_index, box_xyxy=(x0 - frame_index, y0, x1 - frame_index, y1))


OFTEN = tuple(disc_on(t) for t in range(0, FRAMES, 4))
LIMITED = replace(CONFIG, tracking=TrackingConfig(max_conditioning_frames=2))


@pytest.fixture(scope="module")
def prompted_often(shard):
    return replace(shard, prompts=(*OFTEN, square_on(6), square_on(30)))


@pytest.fixture(scope="module")
def limited(prompted_often, tmp_path_factory):
    return segment(prompted_often, tmp_path_factory.mktemp("limited"), config=LIMITED)[1]


def test_the_masks_are_the_official_ones_of_the_same_selection(limited, video):
    model = nano_model()
    predictor = official_predictor(model, "nano")
    predictor.max_cond_frames_in_attn = 2
    frames = [to_model_input(f, model.image_size) for f in open_frames(video, FramesConfig())]
    logits = official_logits(predictor, frames, OFTEN, {})
    ours = masks_of(limited, 1)
    assert ours.keys() == logits.keys()
    pairs = [(ours[t], (logits[t] > 0).numpy()) for t in ours]
    assert sum((a & b).sum() for a, b in pairs) >= 0.999 * sum((a | b).sum() for a, b in pairs)


@pytest.mark.parametrize("stop_at", [3, 19, 33])
def test_stopping_and_resuming_changes_no_mask(prompted_often, limited, tmp_path, stop_at):
    def cut(frames):
        if frames == stop_at:
            raise Cut

    with pytest.raises(Cut):
        segment(prompted_often, tmp_path, cut, LIMITED)
    report, table = segment(prompted_often, tmp_path, config=LIMITED)
    assert table.equals(limited)
    assert report.frames_computed == FRAMES - stop_at // EVERY * EVERY


def test_an_object_alone_gets_the_masks_it_gets_among_others(prompted_often, limited, tmp_path):
    alone = replace(prompted_often, prompts=(square_on(6), square_on(30)))
    _, table = segment(alone, tmp_path, config=LIMITED)
    among, by_itself = masks_of(limited, 5), masks_of(table, 5)
    assert among.keys() == by_itself.keys()
    assert all(np.array_equal(among[t], by_itself[t]) for t in among)


class Video:
    """Frames without content, and a note of what was given when."""

    def __init__(self, prompts, limit):
        self.state, self.given = VideoState(), []
        self.key_frames = KeyFrames(prompts, self.state, limit, self.frames, self.give)

    def frames(self, indices):
        for t in sorted(indices):
            yield Frame(t, t / 25, np.zeros((2, 2, 3), np.uint8), (2, 2))

    def give(self, frame, prompt):
        self.given.append((prompt.object_id, frame.index))
        self.state.condition(prompt.object_id, frame.index, frame)

    def ahead_of(self, next_frame):
        """Come to a frame, and return how many key frames lie ahead that were given already."""
        self.state.next_frame = next_frame
        self.key_frames.prepare()
        return sum(t >= next_frame for _, t in self.given)


def test_no_more_than_the_limit_is_given_ahead_however_many_there_are():
    video = Video([disc_on(t) for t in range(0, 5000, 50)], limit=4)
    assert [video.ahead_of(t) for t in range(0, 4000, 37)] == [4] * 109


def test_without_a_limit_all_are_given_first():
    assert Video([disc_on(t) for t in range(0, 500, 50)], limit=None).ahead_of(0) == 10


def test_an_object_that_comes_later_is_left_for_later():
    video = Video([disc_on(0), square_on(300), square_on(310)], limit=2)
    assert [video.ahead_of(t) for t in (0, 299, 300)] == [1, 0, 2]


@pytest.mark.parametrize("prompts", [OFTEN, (disc_on(0), square_on(FRAMES))])
def test_one_past_the_end_is_refused_though_it_is_never_near(shard, tmp_path, prompts):
    shard = replace(shard, prompts=(*prompts, disc_on(FRAMES + 3)))
    with pytest.raises(PromptInvalid, match="the video ends before"):
        segment(shard, tmp_path, config=LIMITED)
