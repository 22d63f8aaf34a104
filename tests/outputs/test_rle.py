import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.outputs.rle import area_px, decode_masks, tight_box_xyxy
from tests.outputs.tables import encoded

MASKS = arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12))
SPARSE_MASKS = arrays(bool, st.just((1, 40, 30)), elements=st.booleans(), fill=st.just(False))


def box_by_pixels(mask: np.ndarray) -> tuple[float, ...] | None:
    ys, xs = np.nonzero(mask)
    return (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else None


@given(MASKS | SPARSE_MASKS)
def test_a_mask_comes_back_as_it_was(masks):
    assert np.array_equal(decode_masks(encoded(masks)), masks)


@given(MASKS | SPARSE_MASKS)
def test_area_and_box_read_off_the_runs_are_those_of_the_pixels(masks):
    for mask, rle in zip(masks, encoded(masks), strict=True):
        assert area_px(rle) == np.count_nonzero(mask)
        assert tight_box_xyxy(rle) == box_by_pixels(mask)


@pytest.mark.parametrize(
    ("rows", "box"),
    [
        pytest.param(["...", "..."], None, id="nothing has no box"),
        pytest.param(["###", "###"], (0, 0, 3, 2), id="the whole frame"),
        pytest.param(["...", "..#"], (2, 1, 3, 2), id="one pixel is one wide and one high"),
        pytest.param([".#.", "#.."], (0, 0, 2, 2), id="a run from one column into the next"),
    ],
)
def test_boxes_are_tight_and_half_open(rows, box):
    mask = np.array([[pixel == "#" for pixel in row] for row in rows])
    assert tight_box_xyxy(encoded(mask[None])[0]) == box
