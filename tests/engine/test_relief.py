"""Where a device's memory is too small for a batch the masks are the same, and every step down is known."""

import pytest
import torch

from pipeline.engine.frame_step import FrameStep
from pipeline.engine.relief import HALVED, ON_HOST, Relief
from pipeline.engine.requests import Request, answer
from pipeline.engine.shared_engine import SharedEngine
from pipeline.engine.state import VideoState
from pipeline.records import Prompt, Rle
from tests.engine.scenes import SIZE_HW, condition, disc, engine_of, nano_model, propagate, scene
from tests.engine.test_shared_engine import FRAMES, follow

MASK = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
PROMPTS = [MASK, *(Prompt(i, i, box_xyxy=(60 + 9 * i, 40, 84 + 9 * i, 64)) for i in (2, 3))]


def engine():
    return engine_of(nano_model(), frames_at_once=4, teams=1)


class SmallDevice:
    """An engine whose device has no memory for larger batches: it raises torch's own error."""

    def __init__(self, frames, lanes, failures=10**9):
        self.engine, self.fits, self.failures = engine(), {"encode": frames, "track": lanes}, failures
        self.engine.encode = self._limited("encode", self.engine.encode)
        self.engine.track = self._limited("track", self.engine.track)

    def _limited(self, name, compute):
        def limited(items):
            if len(items) > self.fits[name] and self.failures:
                self.failures -= 1
                raise torch.OutOfMemoryError("CUDA out of memory")
            return compute(items)

        limited.__name__ = name
        return limited


@pytest.fixture(scope="module")
def frames():
    return scene(FRAMES, engine().image_size_px)


@pytest.fixture(scope="module")
def expected(frames):
    return [r.rles for r in propagate(engine(), frames, PROMPTS, {MASK: disc(0)})[0]]


@pytest.mark.parametrize(
    ("fits", "rungs"),
    [
        pytest.param({"frames": 4, "lanes": 3}, [], id="all fits"),
        pytest.param({"frames": 1, "lanes": 3}, [HALVED], id="one frame at a time"),
        pytest.param({"frames": 4, "lanes": 2}, [HALVED], id="two objects at a time"),
        pytest.param({"frames": 1, "lanes": 1}, [HALVED], id="one of each"),
        pytest.param({"frames": 0, "lanes": 3, "failures": 1}, [ON_HOST], id="no frame, once"),
        pytest.param({"frames": 4, "lanes": 0, "failures": 1}, [ON_HOST], id="no object, once"),
    ],
)
def test_steps_down_change_no_mask(frames, expected, fits, rungs):
    shared = SharedEngine(lambda: SmallDevice(**fits).engine)
    assert follow(shared, frames, PROMPTS) == expected
    assert shared.relief.rungs == rungs


def test_what_fitted_is_the_limit_from_then_on(frames):
    small = SmallDevice(frames=1, lanes=3)
    shared = SharedEngine(lambda: small.engine)
    follow(shared, frames, PROMPTS)
    assert shared.relief.largest == {"encode": 1}
    before = small.failures
    follow(shared, frames, PROMPTS)
    assert small.failures == before


def test_what_fits_by_no_means_is_the_callers_to_handle(frames):
    shared = SharedEngine(lambda: SmallDevice(frames=0, lanes=3).engine)
    with pytest.raises(torch.OutOfMemoryError):
        follow(shared, frames, PROMPTS)


def test_an_object_that_does_not_fit_changes_no_mask_of_another_video(frames):
    """They are computed together, then in halves, then each request again, to see whose fault it was."""
    whole, alone = engine(), propagate(engine(), frames, [MASK], {MASK: disc(0)})[0]
    ours, too_large = VideoState(num_frames=FRAMES), VideoState(num_frames=FRAMES)
    condition(whole, ours, frames, [MASK], {MASK: disc(0)})
    condition(whole, too_large, frames, PROMPTS[1:2], {})

    def track(lanes):
        if any(lane.bank is too_large.objects[2] and lane.features.frame_index == 10 for lane in lanes):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole.track(lanes)

    relief, found, videos = Relief(lambda: None), [], [ours, too_large]
    for frame in frames:
        (features,) = whole.encode([frame])
        steps = [FrameStep.begin(state, features) for state in videos]
        requests = [Request(track, step.lanes, step.state) for step in steps]
        answer(requests, relief.compute)
        found.append(whole.masks(steps[0].finish(requests[0].answer.result(0))).rles)
        if requests[-1].answer.exception(0):
            videos = [ours]
        elif len(videos) == 2:
            steps[1].finish(requests[1].answer.result(0))
    assert videos == [ours]
    assert found == [masks.rles for masks in alone]
