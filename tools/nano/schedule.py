"""What is trained when: shapes of batches by progress, learning rate, and how much the network is helped."""

import math
import re
from dataclasses import dataclass

WARM_UP_STEPS = 300
FLOOR_SHARE = 0.02  # of the peak learning rate, at the end
SECONDS_OF = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Shape:
    """How large a batch is."""

    clips: int
    objects: int  # at most, of each clip
    frames: int


@dataclass(frozen=True)
class Stage:
    """A part of a training."""

    until: float  # share of the training
    side_px: int
    moving: tuple[Shape, ...]  # drawn evenly
    still: Shape  # of single frames, to practise clicks and boxes
    still_share: float
    told_share: float  # see Teaching


@dataclass(frozen=True)
class Curriculum:
    """Stages, one after the other."""

    stages: tuple[Stage, ...]
    balance_until: float  # share of the training in which the balanced loss fades out to its floor

    def stage(self, progress: float) -> Stage:
        return next((stage for stage in self.stages if progress < stage.until), self.stages[-1])

    def balance(self, progress: float) -> float:
        """Return the weight of the class-balanced loss."""
        return max(0.1, 1 - progress / self.balance_until)


_CPU = Stage(1.0, 256, (Shape(1, 3, 4), Shape(1, 3, 8)), Shape(3, 3, 1), 0.35, 0.05)
_GPU = Stage(1.0, 256, (Shape(32, 3, 8), Shape(16, 3, 16)), Shape(64, 4, 1), 0.3, 0.05)
CURRICULA = {
    "cpu": Curriculum((_CPU,), 0.3),
    "cpu-scratch": Curriculum(
        (
            Stage(0.15, 128, (Shape(5, 3, 2),), Shape(6, 4, 1), 0.5, 0.6),
            Stage(0.4, 128, (Shape(2, 3, 4), Shape(1, 3, 8)), Shape(6, 4, 1), 0.4, 0.3),
            _CPU,
        ),
        0.45,
    ),
    "gpu": Curriculum((_GPU,), 0.2),
    "gpu-scratch": Curriculum(
        (
            Stage(0.1, 128, (Shape(64, 3, 2),), Shape(128, 4, 1), 0.5, 0.6),
            Stage(0.3, 128, (Shape(48, 3, 4), Shape(32, 3, 8)), Shape(128, 4, 1), 0.4, 0.3),
            _GPU,
        ),
        0.35,
    ),
    "tiny": Curriculum((Stage(1.0, 64, (Shape(1, 2, 3),), Shape(1, 2, 1), 0.5, 0.1),), 1.0),  # to try things
}


@dataclass(frozen=True)
class Plan:
    """When a training ends, over all its sittings: by steps, or by seconds spent."""

    steps: int | None = None
    seconds: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Return the share that is done: 1 at the end, never more."""
        share = step / self.steps if self.steps else seconds / (self.seconds or math.inf)
        return min(1.0, share)


def parse_plan(text: str) -> Plan:
    """Return the plan of `20000` (steps), `90m`, `2h` or `3600s`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found or not float(found[1]) or (not found[2] and "." in found[1]):
        raise ValueError(
            f"--until {text!r}: must be a number of steps such as 20000, or a time such as 3600s, 90m, 2h"
        )
    if found[2]:
        return Plan(seconds=float(found[1]) * SECONDS_OF[found[2]])
    return Plan(steps=int(found[1]))


def learning_rate(peak: float, step: int, progress: float) -> float:
    """Return the rate of a step: a warm-up, then half a cosine down to its floor."""
    fall = FLOOR_SHARE + (1 - FLOOR_SHARE) * 0.5 * (1 + math.cos(math.pi * progress))
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * fall
