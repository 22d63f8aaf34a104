"""The masks are the official predictor's: same weights, same frames, one object at a time."""

import pytest

from tests.engine.parity_cases import ARCHITECTURES, EVERYTHING, NANO_CASES, compare
from tests.engine.scenes import nano_model, random_model

QUICK = {"sam2/sam2_hiera_t.yaml", *(f"sam2.1/sam2.1_hiera_{size}.yaml" for size in ("t", "s", "b+"))}


@pytest.fixture(scope="module")
def nano():
    return nano_model()


@pytest.mark.parametrize("case", NANO_CASES, ids=lambda case: case.name)
def test_nano_gives_the_official_masks(nano, case):
    agreement = compare(nano, "nano", case)
    assert agreement.spread > 0.1
    assert agreement.logit_difference < 1e-4
    assert agreement.differing_pixels == 0


@pytest.mark.parametrize(
    "architecture", [pytest.param(a, marks=[] if a in QUICK else pytest.mark.slow) for a in ARCHITECTURES]
)
def test_every_architecture_gives_the_official_masks(architecture):
    agreement = compare(random_model(architecture, image_size_px=128), architecture, EVERYTHING)
    assert agreement.spread > 0.01
    assert agreement.logit_difference < 1e-4
    assert agreement.differing_pixels == 0
