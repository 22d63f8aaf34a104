"""The masks are the official predictor's: same weights, same frames, one object at a time."""

from statistics import median

import pytest

from tests.engine.parity_cases import (
    ARCHITECTURES,
    EVERYTHING,
    NANO_CASES,
    compare,
    iou_of_twins,
    official_runs,
    one_step,
    step_difference_of_twins,
)
from tests.engine.scenes import engine_of, exact_engine, nano_model, random_model, scene

TWINS = {"sam2/sam2_hiera_s.yaml", "sam2/sam2_hiera_l.yaml"}  # `benchmarks.parity` has them
QUICK = {"sam2/sam2_hiera_t.yaml", *(f"sam2.1/sam2.1_hiera_{size}.yaml" for size in ("t", "s", "b+"))}


@pytest.fixture(scope="module")
def nano():
    return nano_model()


@pytest.mark.parametrize("case", NANO_CASES, ids=lambda case: case.name)
def test_nano_gives_the_official_masks(nano, case):
    agreement = compare(nano, "nano", case)
    assert agreement.spread > 0.1
    step_difference, iou = 1e-2, 0.999
    # Past these, either we are wrong or, with these weights, the case hangs on rounding: twins tell which.
    if agreement.step_difference >= step_difference:
        step_difference = max(step_difference, 2 * step_difference_of_twins(nano, "nano", case))
    if agreement.iou <= iou:
        iou = min(iou, 1 - 2 * (1 - iou_of_twins(nano, "nano", case)))
    assert agreement.step_difference < step_difference
    assert agreement.iou > iou


def test_a_step_rounds_no_worse_than_the_official_one(nano):
    case, engine, exact = NANO_CASES[0], engine_of(nano), exact_engine(nano)
    frames, ours, theirs = scene(case.num_frames, nano.image_size), [], []
    for (_, t), official in official_runs(nano, "nano", case).items():
        if official.before is not None:
            truth = one_step(exact, frames[t], official.before, case)
            ours.append(float((one_step(engine, frames[t], official.before, case) - truth).abs().max()))
            theirs.append(float((official.logits - truth).abs().max()))
    # Medians: in a step or two a gate amplifies rounding, and which ones depends on the machine.
    assert median(theirs) > 0
    assert median(ours) <= 2 * median(theirs)


@pytest.mark.parametrize(
    "architecture",
    [pytest.param(a, marks=[] if a in QUICK else pytest.mark.slow) for a in ARCHITECTURES if a not in TWINS],
)
def test_every_architecture_gives_the_official_masks(architecture):
    agreement = compare(random_model(architecture, image_size_px=128), architecture, EVERYTHING)
    assert agreement.spread > 0.01
    assert agreement.step_difference < 1e-5
    assert agreement.iou > 0.999
