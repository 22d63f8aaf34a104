"""The floor is that of the cost model."""

import pytest

from benchmarks.floor import floor_ms

H200, A100 = (790, 4.3), (250, 1.8)  # TFLOP/s, TB/s
TINY, LARGE = "sam2.1_tiny", "sam2.1_large"


@pytest.mark.parametrize(
    ("model", "objects", "device", "official_ms", "rewritten_ms"),
    [
        (TINY, 1, H200, 1.23, 0.97),
        (TINY, 5, H200, 4.45, 3.11),
        (TINY, 16, H200, 13.3, 9.0),
        (LARGE, 1, H200, 3.11, 2.87),
        (LARGE, 5, H200, 6.33, 5.01),
        (LARGE, 16, H200, 15.2, 10.9),
        (TINY, 1, A100, 3.68, 2.93),
        (LARGE, 16, A100, 47.5, 34.3),
    ],
)
def test_it_agrees_with_the_cost_models_table(model, objects, device, official_ms, rewritten_ms):
    assert floor_ms(model, objects, *device) == pytest.approx(official_ms, rel=0.005)
    assert floor_ms(model, objects, *device, rewritten=True) == pytest.approx(rewritten_ms, rel=0.02)


def test_a_model_that_nobody_counted_has_none():
    assert floor_ms("nano", 1, *H200) is None
