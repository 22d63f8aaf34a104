"""Several threads, one engine: batches form by themselves, and a fault stays with its video."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from pipeline.engine.shared_engine import SharedEngine, _Request, next_batch
from pipeline.engine.state import VideoState
from pipeline.records import Prompt, Rle
from tests.engine.scenes import SIZE_HW, condition, disc, engine_of, nano_model, propagate, scene

MASK = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
FRAMES = 12


@pytest.fixture(scope="module")
def engine():
    return engine_of(nano_model())


@pytest.fixture(scope="module")
def frames(engine):
    return scene(FRAMES, engine.image_size_px)


def follow(shared, frames):
    """Follow one video to its end."""
    state = VideoState(num_frames=FRAMES)
    condition(shared, state, frames, [MASK], {MASK: disc(0)})
    return [
        shared.masks(shared.step(state, features)).masks
        for frame in frames
        for features in shared.encode([frame])
    ]


def test_each_thread_gets_the_masks_it_would_get_alone(engine, frames):
    expected = [r.masks for r in propagate(engine, frames, [MASK], {MASK: disc(0)})[0]]
    shared = SharedEngine(lambda: engine)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: follow(shared, frames), range(4)))
    for masks in results:
        assert all(np.array_equal(a, b) for a, b in zip(masks, expected, strict=True))


def test_what_waits_while_the_engine_is_busy_is_computed_together(engine, frames, monkeypatch):
    sizes, entered, go_on = [], threading.Event(), threading.Event()

    def encode(batch):
        sizes.append(len(batch))
        entered.set()
        go_on.wait(30)
        return batch

    monkeypatch.setattr(engine, "encode", encode)
    shared = SharedEngine(lambda: engine)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(shared.encode, frames[:1])
        entered.wait(30)
        others = [threads.submit(shared.encode, frames[i : i + 1]) for i in range(1, 4)]
        while len(shared._waiting) < 3:
            pass
        go_on.set()
        assert [f.result()[0].index for f in (first, *others)] == [0, 1, 2, 3]
    assert sizes == [1, 3]


def test_a_video_that_fails_harms_no_other(engine, frames):
    shared = SharedEngine(lambda: engine)
    broken = [*frames[:5], replace(frames[5], image=np.zeros((8, 8, 3), np.uint8)), *frames[6:]]
    with ThreadPoolExecutor(3) as threads:
        good, bad, also_good = (threads.submit(follow, shared, f) for f in (frames, broken, frames))
        with pytest.raises(ValueError, match="frame 5"):
            bad.result()
        assert all(np.array_equal(a, b) for a, b in zip(good.result(), also_good.result(), strict=True))


def test_the_video_furthest_behind_decides_what_comes_next():
    def encode(_):
        raise AssertionError

    def step(_):
        raise AssertionError

    ahead, behind, further = _Request(encode, [], 9), _Request(step, [], 2), _Request(step, [], 7)
    assert next_batch([ahead, further, behind]) == [behind, further]
