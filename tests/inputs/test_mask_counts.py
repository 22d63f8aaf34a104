import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from pipeline.inputs.mask_counts import run_lengths


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30))
def test_runs_are_those_that_coco_wrote(runs):
    pixels = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    counts = coco.encode(np.asfortranarray(pixels[:, None]))["counts"] if len(pixels) else b"0"

    found = run_lengths(counts)

    assert np.array_equal(np.repeat(np.arange(len(found)) % 2, found), pixels)


@pytest.mark.parametrize("counts", [b"zz", b"\xff", b"P", b"0O", b"oooooooooooooooo1", b"!"])
def test_corrupt_counts_are_refused(counts):
    with pytest.raises(ValueError, match="byte|break off|negative"):
        run_lengths(counts)


def test_any_bytes_are_answered():
    for seed in range(200):
        data = np.random.default_rng(seed).integers(40, 120, 12, dtype=np.uint8).tobytes()
        try:
            assert all(run >= 0 for run in run_lengths(data))
        except ValueError:
            continue
