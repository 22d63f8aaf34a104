"""Several threads, one engine: batches form by themselves, and a fault stays with its video."""

import itertools
import subprocess
import sys
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
import torch

from pipeline.engine.cpu_tuning import use_one_thread
from pipeline.engine.requests import Request
from pipeline.engine.shared_engine import BATCHES_AHEAD, SharedEngine
from pipeline.engine.state import VideoState
from pipeline.records import Prompt, Rle
from tests.conftest import REPOSITORY
from tests.engine.scenes import SIZE_HW, condition, disc, engine_of, nano_model, propagate, scene

MASK = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
FRAMES = 12


@pytest.fixture(scope="module")
def engine():
    return engine_of(nano_model())


@pytest.fixture(scope="module")
def frames(engine):
    return scene(FRAMES, engine.image_size_px)


@pytest.fixture
def two_cores():
    """Let engines made here share two cores, also on a machine with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def follow(shared, frames, prompts=(MASK,)):
    """Follow one video to its end."""
    state = VideoState(num_frames=FRAMES)
    condition(shared, state, frames, prompts, {MASK: disc(0)})
    return [shared.masks(shared.step(state, features)).rles for features in shared.encode(frames)]


def test_each_thread_gets_the_masks_it_would_get_alone(engine, frames):
    expected = [r.rles for r in propagate(engine, frames, [MASK], {MASK: disc(0)})[0]]
    shared = SharedEngine(lambda: engine)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: follow(shared, frames), range(4)))
    for masks in results:
        assert masks == expected


@pytest.mark.parametrize("teams", [1, 3])
def test_objects_of_a_video_are_found_the_same_however_many_teams_share_them(
    engine, frames, teams, two_cores
):
    prompts = [MASK, *(Prompt(i, i, box_xyxy=(60 + 9 * i, 40, 84 + 9 * i, 64)) for i in (2, 3))]
    expected = [r.rles for r in propagate(engine, frames, prompts, {MASK: disc(0)})[0]]
    shared = SharedEngine(lambda: engine_of(nano_model(), teams=teams))
    assert shared.teams == min(teams, 2)
    assert follow(shared, frames, prompts) == expected


def test_frames_are_encoded_while_an_earlier_one_is_tracked(engine, frames):
    shared, taken = SharedEngine(lambda: engine), []
    features = shared.encode(frame for frame in frames if not taken.append(frame.index))
    assert next(features).frame_index == 0
    assert taken == list(range(1 + BATCHES_AHEAD))
    assert [f.frame_index for f in features] == list(range(1, FRAMES))


def test_a_video_that_fails_harms_no_other(engine, frames):
    shared = SharedEngine(lambda: engine)
    broken = [*frames[:5], replace(frames[5], image=np.zeros((8, 8, 3), np.uint8)), *frames[6:]]
    with ThreadPoolExecutor(3) as threads:
        good, bad, also_good = (threads.submit(follow, shared, f) for f in (frames, broken, frames))
        with pytest.raises(ValueError, match="frame 5"):
            bad.result()
        assert good.result() == also_good.result()


def test_a_step_that_fails_half_way_and_is_done_again_forgets_nothing(frames):
    prompts = [MASK, *(Prompt(i, 0, box_xyxy=(60 + 9 * i, 40, 84 + 9 * i, 64)) for i in (2, 3))]
    engine = engine_of(nano_model(), teams=1, lanes_at_once=2)
    expected = [r.rles for r in propagate(engine, frames, prompts, {MASK: disc(0)})[0]]
    track, calls = engine._track, itertools.count(1)

    def fails_once(*tensors):
        if next(calls) == 2 * 8:  # the second batch of the eighth tracked frame
            raise torch.OutOfMemoryError("CUDA out of memory")
        return track(*tensors)

    engine._track = fails_once
    assert follow(SharedEngine(lambda: engine), frames, prompts) == expected


def test_teams_share_the_cores_whatever_other_threads_ask_for():
    shared, threads, both = SharedEngine(lambda: engine_of(nano_model()), cores=4), [], Barrier(2)

    def look(items):
        threads.append(torch.get_num_threads())
        both.wait(10)  # so that each team takes one
        return items

    with ThreadPoolExecutor(1, initializer=use_one_thread):
        asked = [shared._ask(Request(look, [i], object())) for i in range(2)]
        assert [answer.result() for answer in asked] == [[0], [1]]
    assert threads == [2, 2]


def test_a_closed_engine_has_no_thread_left(engine, frames):
    shared = SharedEngine(lambda: engine)
    features = shared.encode(frames)
    next(features)  # others are under way
    shared.close()
    assert not any(team.is_alive() for team in shared._team_threads)


def test_a_closed_engine_refuses_work_at_once(engine, frames):
    shared = SharedEngine(lambda: engine)
    shared.close()
    with pytest.raises(CancelledError):
        next(shared.encode(frames))


def test_python_exits_well_while_the_engine_computes():
    program = """
from tests.conftest import REPOSITORY
from tests.engine.scenes import engine_of, nano_model, scene
from pipeline.engine.cpu_tuning import use_one_thread
from pipeline.engine.requests import Request
from pipeline.engine.shared_engine import SharedEngine
features = SharedEngine(lambda: engine_of(nano_model())).encode(scene(40, 256))
for _ in range(5):
    next(features)
"""
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True
        )
        assert (ended.returncode, ended.stderr) == (0, "")
