"""The cases that our masks are compared on with the official predictor's, and how they are compared."""

from typing import NamedTuple

from sam2.modeling.sam2_base import SAM2Base

from pipeline.records import Prompt, Rle
from tests.engine.oracle import official_logits, official_predictor
from tests.engine.scenes import SIZE_HW, disc, engine_of, propagate, scene

CLICK = Prompt(1, 0, points_xy=((30, 30),), point_labels=(1,))
CLICKS = Prompt(1, 0, points_xy=((30, 30), (36, 34), (120, 60)), point_labels=(1, 1, 0))
BOX = Prompt(1, 0, box_xyxy=(16, 16, 44, 44))
BOX_WITH_POINTS = Prompt(1, 0, points_xy=((30, 30), (50, 70)), point_labels=(1, 0), box_xyxy=(14, 15, 46, 45))
MASK = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
LATER_MASK = Prompt(1, 12, mask=Rle(SIZE_HW, b"12"))
LATER_CLICK = Prompt(1, 9, points_xy=((48, 30),), point_labels=(1,))
LATE_OBJECT = Prompt(2, 5, box_xyxy=(98, 48, 122, 72))
MASKS = {MASK: disc(0), LATER_MASK: disc(12)}


class Case(NamedTuple):
    """Prompts on a scene of so many frames."""

    name: str
    prompts: tuple[Prompt, ...]
    num_frames: int


NANO_CASES = [
    Case("one click", (CLICK,), 24),
    Case("positive and negative clicks", (CLICKS,), 24),
    Case("box", (BOX,), 24),
    Case("box with points", (BOX_WITH_POINTS,), 24),
    Case("mask", (MASK,), 24),
    Case("three conditioning frames", (MASK, LATER_CLICK, LATER_MASK), 24),
    Case("conditioning frames given out of order", (LATER_CLICK, MASK), 24),
    Case("an object that starts late", (MASK, LATE_OBJECT), 24),
    Case("clip of 7 frames", (MASK,), 7),
    Case("clip of 15 frames", (BOX, LATE_OBJECT), 15),
    Case("clip of 1 frame", (MASK,), 1),
]
EVERYTHING = Case("click, later mask, late object", (CLICK, LATER_MASK, LATE_OBJECT), 22)
ARCHITECTURES = [
    f"{version}/{version}_hiera_{size}.yaml"
    for version in ("sam2", "sam2.1")
    for size in ("t", "s", "b+", "l")
]


class Agreement(NamedTuple):
    """How near our masks come to the official ones, over all objects and frames of a case."""

    logit_difference: float  # the largest, at the video's size
    differing_pixels: int
    spread: float  # standard deviation of the flattest frame's official logits: at 0, equality says nothing


def compare(model: SAM2Base, architecture: str, case: Case) -> Agreement:
    """Run a case by our engine and by the official predictor, one object at a time."""
    frames = scene(case.num_frames, model.image_size)
    _, ours = propagate(engine_of(model), frames, case.prompts, MASKS)
    predictor = official_predictor(model, architecture)
    theirs = {
        (object_id, t): logits
        for object_id in {p.object_id for p in case.prompts}
        for t, logits in official_logits(
            predictor, frames, [p for p in case.prompts if p.object_id == object_id], MASKS
        ).items()
    }
    assert ours.keys() == theirs.keys()
    return Agreement(
        max(float((ours[k] - theirs[k]).abs().max()) for k in ours),
        sum(int(((ours[k] > 0) != (theirs[k] > 0)).sum()) for k in ours),
        min(float(logits.std()) for logits in theirs.values()),
    )
