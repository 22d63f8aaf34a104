"""Nouns that cross borders between packages. They are frozen, and a wrong one cannot exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from pipeline.errors import FaultClass

# The model is sure of an object where iou_score is at least this share of the object's highest: the mask of
# a lost object may be anything, and its score is next to nothing.
SURE_SHARE = 0.5


@dataclass(frozen=True)
class Rle:
    """A mask as COCO compressed run lengths."""

    size_hw: tuple[int, int]  # pixels
    counts: bytes


@dataclass(frozen=True)
class Prompt:
    """One prompt of one object on one frame: points, a box, a box with points, or a mask.

    The frame is given by exactly one of `frame_index` and `time_seconds`. Coordinates are
    pixels of the displayed frame, x to the right, y down. A reference is a prompt on another video's frame.
    """

    object_id: int  # the caller's name for the object, from 1
    frame_index: int | None = None  # from 0, in display order
    time_seconds: float | None = None  # the frame on show at that time
    points_xy: tuple[tuple[float, float], ...] = ()
    point_labels: tuple[int, ...] = ()  # one a point: 1 on the object, 0 not
    box_xyxy: tuple[float, float, float, float] | None = None
    mask: Rle | None = None
    label: str | None = None  # class name, carried into the output
    is_correction: bool = False  # of what was tracked up to its frame; otherwise all frames look at it
    video_uri: str | None = None  # of the other video that a reference is on; absolute

    def __post_init__(self):
        for problem in prompt_problems(self):
            raise ValueError(f"prompt of object {self.object_id}: {problem}")


@dataclass(frozen=True)
class PromptProblem:
    """One reason why a prompt is refused, by manifest column."""

    column: str
    found: str
    allowed: str

    def __str__(self):
        return f"{self.column} is {self.found}, allowed: {self.allowed}"


def prompt_problems(prompt: Prompt) -> list[PromptProblem]:
    """Return all that is wrong with a prompt taken alone, without its video."""
    return [
        PromptProblem(column, found, allowed)
        for wrong, column, found, allowed in _prompt_rules(prompt)
        if wrong
    ]


Rule = tuple[bool, str, str, str]  # is broken, column, found, allowed


def _prompt_rules(p: Prompt) -> Iterator[Rule]:
    yield p.object_id < 1, "object_id", str(p.object_id), "1 or more"
    yield from _frame_rules(p)
    yield from _kind_rules(p)
    yield (
        p.is_correction and p.video_uri is not None,
        "kind",
        "correction with prompt_video_uri",
        "a keyframe: only what was tracked in the video itself can be corrected",
    )
    yield from _point_rules(p)
    yield from _box_rules(p)


def _frame_rules(p: Prompt) -> Iterator[Rule]:
    yield (
        (p.frame_index is None) == (p.time_seconds is None),
        "frame_index",
        f"{p.frame_index} with time_seconds {p.time_seconds}",
        "exactly one of frame_index and time_seconds",
    )
    yield (p.frame_index or 0) < 0, "frame_index", str(p.frame_index), "0 or more"
    yield (
        p.time_seconds is not None and not (0 <= p.time_seconds < float("inf")),
        "time_seconds",
        str(p.time_seconds),
        "a finite number of seconds, 0 or more",
    )


def _kind_rules(p: Prompt) -> Iterator[Rule]:
    spots = bool(p.points_xy) or p.box_xyxy is not None
    yield (
        not spots and p.mask is None,
        "points_xy",
        "no points, no box_xyxy and no mask_rle",
        "points, a box, a box with points, or a mask",
    )
    yield spots and p.mask is not None, "mask_rle", "a mask beside points or a box", "a mask alone"


def _point_rules(p: Prompt) -> Iterator[Rule]:
    yield (
        len(p.points_xy) != len(p.point_labels),
        "point_labels",
        f"{len(p.point_labels)} labels for {len(p.points_xy)} points",
        "one label a point",
    )
    yield (
        any(label not in (0, 1) for label in p.point_labels),
        "point_labels",
        str(list(p.point_labels)),
        "1 (on the object) and 0 (not on it)",
    )
    yield (
        not all(np.isfinite(c) for xy in p.points_xy for c in xy),
        "points_xy",
        str(list(p.points_xy)),
        "finite pixel coordinates",
    )


def _box_rules(p: Prompt) -> Iterator[Rule]:
    if p.box_xyxy is None:
        return
    x0, y0, x1, y1 = p.box_xyxy
    finite = all(np.isfinite(c) for c in p.box_xyxy)
    yield not finite, "box_xyxy", str(p.box_xyxy), "finite pixel coordinates"
    yield finite and not (x0 < x1 and y0 < y1), "box_xyxy", str(p.box_xyxy), "x0 < x1 and y0 < y1"


class Direction(str, Enum):
    """Which way a shard's objects are carried along the frames, from their first prompt on."""

    FORWARD = "forward"
    BACKWARD = "backward"

    @property
    def step(self) -> int:
        """From one frame to the next."""
        return 1 if self is Direction.FORWARD else -1


@dataclass(frozen=True)
class Shard:
    """The unit of work, retry and doneness: one video, or one object group of it, in one direction."""

    id: str  # unique in the run, safe as a file name
    video_id: str
    video_uri: str
    prompts: tuple[Prompt, ...]
    num_frames_hint: int = 0  # by the container; for ordering and progress, never trusted
    fingerprint: Mapping[str, str] = field(default_factory=dict, hash=False)  # what decides the masks
    direction: Direction = Direction.FORWARD

    def __post_init__(self):
        if all(prompt.is_correction for prompt in self.prompts):
            raise ValueError(f"shard {self.id}: at least one prompt that is no correction is needed")

    @property
    def keyframes(self) -> tuple[Prompt, ...]:
        return tuple(p for p in self.prompts if not p.is_correction and p.video_uri is None)

    @property
    def references(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts if prompt.video_uri is not None)

    @property
    def corrections(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts if prompt.is_correction)

    @property
    def object_ids(self) -> tuple[int, ...]:
        return tuple(sorted({prompt.object_id for prompt in self.prompts}))

    @property
    def labels(self) -> dict[int, str]:
        """Class name by object id, for the objects that have one."""
        return {p.object_id: p.label for p in self.prompts if p.label is not None}

    @property
    def cost(self) -> int:
        """Roughly how long it takes, in object-frames."""
        return max(1, self.num_frames_hint) * len(self.object_ids)


@dataclass(frozen=True)
class Attempt:
    """One try at a shard."""

    name: str  # of its folder: no two attempts at a shard share one, whichever driver began them
    number: int = 1  # from 1, over all drivers
    epoch: int | None = None  # of the driver that began it
    memory_was_full: bool = False  # of a GPU, at an earlier attempt


@dataclass(frozen=True)
class Frame:
    """One decoded frame, as displayed: rotation applied, pixels square."""

    index: int  # from 0, in display order
    time_seconds: float  # presentation time
    image: np.ndarray  # (height, width, 3) uint8 RGB; may be smaller than the video
    video_size_hw: tuple[int, int]  # the video's own size, that masks come back at
    is_after_cut: bool = False  # another scene than the frame decoded before it

    def __post_init__(self):
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                f"frame {self.index}: image must be (height, width, 3) uint8, "
                f"got {self.image.shape} {self.image.dtype}"
            )


@dataclass(frozen=True)
class FrameMasks:
    """The masks of all objects tracked on one frame."""

    frame_index: int
    time_seconds: float
    object_ids: tuple[int, ...]
    rles: tuple[Rle, ...]  # one an object, at the video's own size
    object_scores: np.ndarray  # (object,) float32 logits; above 0 the object is visible
    iou_scores: np.ndarray  # (object,) float32, the model's own estimate
    prompted: np.ndarray  # (object,) bool, a prompt was given on this frame
    stability_scores: np.ndarray  # (object,) float32, 0 to 1; NaN where no logit is near a mask

    def __post_init__(self):
        count = len(self.object_ids)
        if len(self.rles) != count or len({rle.size_hw for rle in self.rles}) > 1:
            raise ValueError(
                f"frame {self.frame_index}: {count} object ids need as many masks of one size, "
                f"got sizes {[rle.size_hw for rle in self.rles]}"
            )
        for name in ("object_scores", "iou_scores", "prompted", "stability_scores"):
            if getattr(self, name).shape != (count,):
                raise ValueError(
                    f"frame {self.frame_index}: {name} must have shape ({count},), "
                    f"got {getattr(self, name).shape}"
                )


class ShardStatus(str, Enum):
    DONE = "done"
    FAILED = "failed"  # may be tried again
    QUARANTINED = "quarantined"  # given up


@dataclass(frozen=True)
class Problem:
    """Why a shard failed, as far as its worker could tell."""

    fault_class: FaultClass
    message: str
    traceback: str = ""
    last_frame: int | None = None  # the last one whose masks are safely stored


@dataclass(frozen=True)
class ShardReport:
    """What is known of one shard after an attempt at it."""

    shard_id: str
    video_id: str
    status: ShardStatus
    objects: int
    frames: int = 0  # of the video that have masks
    frames_computed: int = 0  # of these, by this attempt; fewer after a resume
    seconds: float = 0.0  # this attempt's
    attempts: int = 1
    problem: Problem | None = None
    gpu_memory_share: float = 0.0  # the highest, 0 to 1, by whatever else uses that GPU too

    def __post_init__(self):
        if (self.problem is None) != (self.status is ShardStatus.DONE):
            raise ValueError(
                f"shard {self.shard_id}: a problem belongs to what is not done, and to nothing else"
            )
