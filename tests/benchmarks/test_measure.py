"""What is timed, and what is not."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import measure, ticks
from benchmarks.measure import measure_ticks
from benchmarks.ticks import Tick
from benchmarks.workload import Clip
from tests.benchmarks.settings import NANO
from tests.conftest import REPOSITORY

FRAMES = NANO.frames
BUILDING, SLOW, FAST = 50.0, 9.0, 1.0  # seconds
MASKS = np.ones((1, 2, 8), bool)
CLIP = Clip(frames=(), prompts=())  # these systems look at none


class Clock:
    """Time that passes only when somebody spends it."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ticks, "time", clock)
    return clock


class OneByOne:
    """Each frame of a warm-up takes 9 s, each other one 1 s, and keeping a mask nothing."""

    def __init__(self, clock: Clock):
        self.clock = clock
        clock.now += BUILDING

    def ticks(self, clips):
        for video, _ in enumerate(clips):
            for t in range(FRAMES):
                self.clock.now += SLOW if t < NANO.warmup else FAST
                yield Tick(t, {video: MASKS})


class AllAtOnce(OneByOne):
    def ticks(self, clips):
        for t in range(FRAMES):
            self.clock.now += SLOW if t < NANO.warmup else FAST
            yield Tick(t, dict.fromkeys(range(len(clips)), MASKS))


@pytest.mark.parametrize(
    ("system", "frames_per_second"),
    [
        pytest.param(OneByOne, 1.0, id="videos one after the other: each warm-up is left out"),
        pytest.param(AllAtOnce, 3.0, id="videos at once: their frames count together"),
    ],
)
def test_frames_after_the_warm_up_are_timed(clock, system, frames_per_second):
    figures, masks = measure_ticks(lambda: system(clock), [CLIP] * 3, NANO)
    assert figures.frames_per_second == frames_per_second
    assert figures.timed_frames == 3 * (FRAMES - NANO.warmup)
    assert len(masks) == 3 * FRAMES


def test_keeping_masks_is_not_timed(clock, monkeypatch):
    def keep(packed, *_):
        clock.now += 100

    monkeypatch.setattr(measure, "add_masks", keep)
    assert measure_ticks(lambda: OneByOne(clock), [CLIP], NANO)[0].frames_per_second == 1.0


def test_start_up_ends_with_the_first_tracked_frame(clock):
    figures, _ = measure_ticks(lambda: OneByOne(clock), [CLIP], NANO)
    assert figures.start_up_seconds == BUILDING + 2 * SLOW


def test_on_cuda_a_second_run_is_timed(clock, monkeypatch):
    monkeypatch.setattr(ticks, "synchronize", lambda device: None)
    monkeypatch.setattr(measure.torch.cuda, "max_memory_allocated", lambda: 7)
    monkeypatch.setattr(measure.torch.cuda, "get_device_name", lambda: "some GPU")

    class CompilesFirst(OneByOne):
        runs = 0

        def ticks(self, clips):
            self.runs += 1
            for tick in super().ticks(clips):
                self.clock.now += 1000 if self.runs == 1 else 0
                yield tick

    figures, _ = measure_ticks(lambda: CompilesFirst(clock), [CLIP], replace(NANO, device="cuda"))
    assert figures.frames_per_second == 1.0
    assert (figures.timed_frames, figures.peak_bytes) == (FRAMES - NANO.warmup, 7)


def test_the_peak_of_memory_stays_when_the_memory_is_given_back():
    code = """
import numpy as np
from benchmarks.measure import peak_rss_bytes
before = peak_rss_bytes()
np.ones(64 << 20, np.uint8)
print(peak_rss_bytes() - before)
"""
    grown = int(subprocess.check_output([sys.executable, "-c", code], cwd=REPOSITORY, text=True))
    assert 48 << 20 < grown < 80 << 20
