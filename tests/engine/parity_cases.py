"""The cases that our masks are compared on with the official predictor's, and how they are compared."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.engine.config import TrackingConfig
from pipeline.engine.engine import Engine
from pipeline.engine.features import FrameFeatures
from pipeline.engine.state import ObjectState, VideoState
from pipeline.records import Direction, Frame, Prompt, Rle
from tests.engine.oracle import OfficialFrame, official_frames, official_predictor
from tests.engine.rounding import twins
from tests.engine.scenes import SIZE_HW, disc, engine_of, logits_of, propagate, scene, track

Logits = dict[tuple[int, int], torch.Tensor]  # by object and frame

CLICK = Prompt(1, 0, points_xy=((30, 30),), point_labels=(1,))
CLICKS = Prompt(1, 0, points_xy=((30, 30), (36, 34), (120, 60)), point_labels=(1, 1, 0))
BOX = Prompt(1, 0, box_xyxy=(16, 16, 44, 44))
BOX_WITH_POINTS = Prompt(1, 0, points_xy=((30, 30), (50, 70)), point_labels=(1, 0), box_xyxy=(14, 15, 46, 45))
MASK = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
LATER_MASK = Prompt(1, 12, mask=Rle(SIZE_HW, b"12"))
LATER_CLICK = Prompt(1, 9, points_xy=((48, 30),), point_labels=(1,))
LATE_OBJECT = Prompt(2, 5, box_xyxy=(98, 48, 122, 72))
POSITIVE = Prompt(1, 10, points_xy=((50, 30),), point_labels=(1,), is_correction=True)
NEGATIVE = Prompt(1, 14, points_xy=((58, 30), (92, 60)), point_labels=(1, 0), is_correction=True)
BOX_CORRECTION = Prompt(1, 8, box_xyxy=(32, 16, 60, 44), is_correction=True)
MASK_CORRECTION = Prompt(1, 17, mask=Rle(SIZE_HW, b"17"), is_correction=True)
FIVE = (BOX, *(Prompt(1, t, box_xyxy=(16 + 2 * t, 16, 44 + 2 * t, 44)) for t in (3, 8, 13, 20)))
EVERY_SIX = tuple(Prompt(1, t, box_xyxy=(16 + 2 * t, 16, 44 + 2 * t, 44)) for t in range(0, 50, 6))
LAST_CLICK = Prompt(1, 18, points_xy=((66, 30),), point_labels=(1,))
LAST_MASK = Prompt(1, 22, mask=Rle(SIZE_HW, b"22"))
MASKS = {LAST_MASK: disc(22), MASK: disc(0), LATER_MASK: disc(12), MASK_CORRECTION: disc(17)}


class Case(NamedTuple):
    """Prompts on a scene of so many frames."""

    name: str
    prompts: tuple[Prompt, ...]
    num_frames: int
    max_conditioning: int | None = None
    direction: Direction = Direction.FORWARD


NANO_CASES = [
    Case("one click", (CLICK,), 24),
    Case("positive and negative clicks", (CLICKS,), 24),
    Case("box", (BOX,), 24),
    Case("box with points", (BOX_WITH_POINTS,), 24),
    Case("mask", (MASK,), 24),
    Case("three conditioning frames", (MASK, LATER_CLICK, LATER_MASK), 24),
    Case("conditioning frames given out of order", (LATER_CLICK, MASK), 24),
    Case("an object that starts late", (MASK, LATE_OBJECT), 24),
    Case("a correction", (BOX, POSITIVE), 24),
    Case("corrections one after the other", (BOX, POSITIVE, NEGATIVE, MASK_CORRECTION), 24),
    Case("a correction between keyframes", (MASK, LATER_MASK, BOX_CORRECTION), 24),
    Case("a correction of a short clip", (CLICK, BOX_CORRECTION), 10),
    Case("the closest two of five conditioning frames", FIVE, 24, 2),
    Case("the closest three, one of them a correction", (*FIVE, POSITIVE), 24, 3),
    Case("the closest two of many, most of them forgotten", EVERY_SIX, 50, 2),
    Case("backward", (LAST_MASK,), 24, None, Direction.BACKWARD),
    Case("backward from the first of two", (LATER_MASK, LAST_CLICK), 24, None, Direction.BACKWARD),
    Case("backward, corrected", (LAST_MASK, MASK_CORRECTION, POSITIVE), 24, None, Direction.BACKWARD),
    Case(
        "backward, the closest two of three", (LATER_MASK, LAST_CLICK, LAST_MASK), 24, 2, Direction.BACKWARD
    ),
    Case("backward in a short clip", (LATER_CLICK,), 11, None, Direction.BACKWARD),
    Case("clip of 7 frames", (MASK,), 7),
    Case("clip of 15 frames", (BOX, LATE_OBJECT), 15),
    Case("clip of 1 frame", (MASK,), 1),
]
EVERYTHING = Case(
    "click, later mask, late object, correction", (CLICK, LATER_MASK, LATE_OBJECT, POSITIVE), 22
)
ARCHITECTURES = [
    f"{version}/{version}_hiera_{size}.yaml"
    for version in ("sam2", "sam2.1")
    for size in ("t", "s", "b+", "l")
]


class Agreement(NamedTuple):
    """How near our masks come to the official ones, over all objects and frames of a case."""

    step_difference: float  # the largest of a logit at the video's size, from the same past
    iou: float  # the least of an object's masks over all frames, each tracker with its own past
    spread: float  # standard deviation of the flattest frame's official logits: at 0, equality says nothing


def compare(model: SAM2Base, architecture: str, case: Case) -> Agreement:
    """Run a case by our engine and by the official predictor, one object at a time.

    Both keep memories in bf16, where the last bit of a sum now and then decides a rounding. So pasts drift
    apart, however exact each step is: steps are compared from the official past, whole runs by their masks.
    """
    frames = scene(case.num_frames, model.image_size)
    engine = engine_of(model, tracking=TrackingConfig(max_conditioning_frames=case.max_conditioning))
    engine.encode = _once_a_frame(engine.encode)
    _, ours = propagate(engine, frames, case.prompts, MASKS, case.direction)
    theirs = official_runs(model, architecture, case)
    assert ours.keys() == theirs.keys()
    steps = [
        (one_step(engine, frames[t], official.before, case) - official.logits).abs().max()
        for (_, t), official in theirs.items()
        if official.before is not None
    ]
    return Agreement(
        float(max(steps, default=0.0)),
        min(_run_iou(ours, theirs, object_id) for object_id in {key[0] for key in ours}),
        min(float(official.logits.std()) for official in theirs.values()),
    )


def step_difference_of_twins(model: SAM2Base, architecture: str, case: Case) -> float:
    """Return the largest difference of a step of ours to itself but for the last bit of the weights."""
    frames, theirs = scene(case.num_frames, model.image_size), official_runs(model, architecture, case)

    def steps(model: SAM2Base) -> Logits:
        engine = engine_of(model, TrackingConfig(max_conditioning_frames=case.max_conditioning))
        return {
            key: one_step(engine, frames[key[1]], official.before, case)
            for key, official in theirs.items()
            if official.before is not None
        }

    ours = steps(model)
    differences = [
        (logits - ours[key]).abs().max() for twin in twins(model) for key, logits in steps(twin).items()
    ]
    return float(max(differences, default=0.0))


def iou_of_twins(model: SAM2Base, architecture: str, case: Case) -> float:
    """Return the least IoU of the official masks with themselves but for the last bit of the weights."""
    theirs = official_runs(model, architecture, case)

    def iou(twin: SAM2Base) -> float:
        masks = {key: official.logits for key, official in official_runs(twin, architecture, case).items()}
        return min(_run_iou(masks, theirs, object_id) for object_id in {key[0] for key in masks})

    return min(map(iou, twins(model)))


def _once_a_frame(encode: Callable[[Sequence[Frame]], list]) -> Callable[[Sequence[Frame]], list]:
    """Compute each frame's features once: they are most of the work, and the same for every step."""
    known: dict[int, FrameFeatures] = {}

    def remembered(frames: Sequence[Frame]) -> list:
        missing = [frame for frame in frames if frame.index not in known]
        known.update(zip((frame.index for frame in missing), encode(missing), strict=True))
        return [known[frame.index] for frame in frames]

    return remembered


def official_runs(model: SAM2Base, architecture: str, case: Case) -> dict[tuple[int, int], OfficialFrame]:
    """Return what the official predictor finds, by object and frame, each object alone."""
    predictor, frames = official_predictor(model, architecture), scene(case.num_frames, model.image_size)
    predictor.max_cond_frames_in_attn = case.max_conditioning or -1
    return {
        (object_id, t): found
        for object_id in {p.object_id for p in case.prompts}
        for t, found in official_frames(
            predictor,
            frames,
            [p for p in case.prompts if p.object_id == object_id],
            MASKS,
            case.direction,
        ).items()
    }


def one_step(engine: Engine, frame: Frame, before: ObjectState, case: Case) -> torch.Tensor:
    """Return the logits of one step from a given past, which stays as it is."""
    state = VideoState(
        min(case.num_frames, 16), frame.index, {1: copy.deepcopy(before)}, direction=case.direction
    )
    return logits_of(engine, track(engine, state, frame).heads[0])


def _run_iou(ours: Logits, theirs: Mapping[tuple[int, int], OfficialFrame], object_id: int) -> float:
    """Return the IoU of an object's masks over all its frames together."""
    pairs = [(ours[key] > 0, theirs[key].logits > 0) for key in ours if key[0] == object_id]
    both = sum(int((a & b).sum()) for a, b in pairs)
    any_of_them = sum(int((a | b).sum()) for a, b in pairs)
    return both / any_of_them if any_of_them else 1.0
