"""Run lengths are COCO's, wherever they are made."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from pipeline.engine.run_lengths import changes_of, run_lengths, written

MASKS = arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12))
SPARSE_MASKS = arrays(bool, st.just((2, 150, 130)), elements=st.booleans(), fill=st.just(False))


def on_a_device(masks: torch.Tensor):
    """Take the way of masks on a GPU, on the CPU."""
    return written(changes_of(masks), masks.shape)


@pytest.fixture(params=[run_lengths, on_a_device])
def encode(request):
    return request.param


@pytest.mark.parametrize("encode", [run_lengths, on_a_device])
@given(masks=MASKS | SPARSE_MASKS)
def test_the_runs_are_those_of_pycocotools(encode, masks):
    expected = [coco.encode(np.asfortranarray(mask, np.uint8))["counts"] for mask in masks]
    found = encode(torch.from_numpy(masks))
    assert [rle.counts for rle in found] == expected
    assert {rle.size_hw for rle in found} == {masks.shape[1:]}


def test_long_runs_and_full_masks_are_written_alike(encode):
    masks = torch.zeros(3, 2000, 3000, dtype=torch.bool)
    masks[1], masks[2, 7:1999, 100] = True, True
    assert encode(masks) == run_lengths(masks)


def test_a_memory_layout_changes_no_runs(encode):
    masks = torch.rand(3, 11, 7, generator=torch.Generator().manual_seed(0)) > 0.5
    turned = masks.transpose(1, 2).contiguous().transpose(1, 2)
    assert encode(turned) == encode(masks) == encode(masks.flip(0))[::-1]


def test_no_objects_have_no_runs(encode):
    assert encode(torch.zeros(0, 4, 4, dtype=torch.bool)) == []
