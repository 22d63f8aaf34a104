"""Whether something grows."""

import numpy as np
import pytest

from benchmarks.slopes import slope

FRAMES = list(range(0, 40_000, 100))


def test_growth_is_found_under_noise_and_the_interval_holds_it():
    noise = np.random.default_rng(1).normal(0, 5, len(FRAMES))
    found = slope(FRAMES, 700 + np.array(FRAMES) * 0.002 + noise)
    assert found.per_1000_frames == pytest.approx(2, abs=0.2)
    assert 0 < found.low < 2 < found.high


def test_the_interval_of_what_is_flat_holds_zero():
    noise = np.random.default_rng(1).normal(0, 5, len(FRAMES))
    found = slope(FRAMES, 700 + noise)
    assert found.low < 0 < found.high


def test_few_samples_have_no_slope():
    assert slope([0, 1, 2], [5, 5, 5]) is None
