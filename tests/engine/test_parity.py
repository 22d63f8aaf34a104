"""The masks are the official predictor's: same weights, same frames, one object at a time."""

import pytest

from pipeline.records import Prompt, Rle
from tests.engine.oracle import official_logits, official_predictor
from tests.engine.scenes import SIZE_HW, disc, engine_of, nano_model, propagate, random_model, scene

CLICK = Prompt(1, 0, points_xy=((30, 30),), point_labels=(1,))
CLICKS = Prompt(1, 0, points_xy=((30, 30), (36, 34), (120, 60)), point_labels=(1, 1, 0))
BOX = Prompt(1, 0, box_xyxy=(16, 16, 44, 44))
BOX_WITH_POINTS = Prompt(1, 0, points_xy=((30, 30), (50, 70)), point_labels=(1, 0), box_xyxy=(14, 15, 46, 45))
MASK = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
LATER_MASK = Prompt(1, 12, mask=Rle(SIZE_HW, b"12"))
LATER_CLICK = Prompt(1, 9, points_xy=((48, 30),), point_labels=(1,))
LATE_OBJECT = Prompt(2, 5, box_xyxy=(98, 48, 122, 72))
MASKS = {MASK: disc(0), LATER_MASK: disc(12)}

CASES = [
    pytest.param([CLICK], 24, id="one click"),
    pytest.param([CLICKS], 24, id="positive and negative clicks"),
    pytest.param([BOX], 24, id="box"),
    pytest.param([BOX_WITH_POINTS], 24, id="box with points"),
    pytest.param([MASK], 24, id="mask"),
    pytest.param([MASK, LATER_CLICK, LATER_MASK], 24, id="three conditioning frames"),
    pytest.param([LATER_CLICK, MASK], 24, id="conditioning frames given out of order"),
    pytest.param([MASK, LATE_OBJECT], 24, id="an object that starts late"),
    pytest.param([MASK], 7, id="clip of 7 frames"),
    pytest.param([BOX, LATE_OBJECT], 15, id="clip of 15 frames"),
    pytest.param([MASK], 1, id="clip of 1 frame"),
]
ARCHITECTURES = [
    "sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1/sam2.1_hiera_b+.yaml",
    pytest.param("sam2.1/sam2.1_hiera_l.yaml", marks=pytest.mark.slow),
    "sam2/sam2_hiera_t.yaml",
    pytest.param("sam2/sam2_hiera_s.yaml", marks=pytest.mark.slow),
    pytest.param("sam2/sam2_hiera_b+.yaml", marks=pytest.mark.slow),
    pytest.param("sam2/sam2_hiera_l.yaml", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def nano():
    return nano_model()


def compare(model, architecture, prompts, num_frames):
    """Return the largest logit difference and the number of differing pixels, over all objects."""
    frames = scene(num_frames, model.image_size)
    _, ours = propagate(engine_of(model), frames, prompts, MASKS)
    predictor = official_predictor(model, architecture)
    theirs = {
        (object_id, t): logits
        for object_id in {p.object_id for p in prompts}
        for t, logits in official_logits(
            predictor, frames, [p for p in prompts if p.object_id == object_id], MASKS
        ).items()
    }
    assert ours.keys() == theirs.keys()
    difference = max(float((ours[k] - theirs[k]).abs().max()) for k in ours)
    pixels = sum(int(((ours[k] > 0) != (theirs[k] > 0)).sum()) for k in ours)
    varied = max(float(logits.std()) for logits in theirs.values())
    return difference, pixels, varied


@pytest.mark.parametrize(("prompts", "num_frames"), CASES)
def test_nano_gives_the_official_masks(nano, prompts, num_frames):
    difference, pixels, varied = compare(nano, "nano", prompts, num_frames)
    print(f"parity: nano, {num_frames} frames: {difference:.1e}, {pixels} px")
    assert varied > 0.1  # otherwise equal logits would say nothing
    assert difference < 1e-4
    assert pixels == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_the_official_masks(architecture):
    model = random_model(architecture, image_size_px=128)
    difference, pixels, varied = compare(model, architecture, [CLICK, LATER_MASK, LATE_OBJECT], 22)
    print(f"parity: {architecture}, 22 frames: {difference:.1e}, {pixels} px")
    assert varied > 0.01
    assert difference < 1e-4
    assert pixels == 0
