"""OBJECTS ON FRAMES -> BATCHES: what each object looks back at, and which can be computed together.

A lane is one object on one frame of one video. What it looks back at is decided here, by frame indices
alone (`sam2_base.py`, `_prepare_memory_conditioned_features`): all conditioning frames, the last six
others, and the pointers of the last fifteen. Lanes that look back at equally many go in one batch, so
that no batch needs a mask; in the long run that is all of them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from pipeline.engine.features import FrameFeatures
from pipeline.engine.state import MEMORY_SPAN_FRAMES, POINTER_SPAN_FRAMES, ConditioningFrame, ObjectState


@dataclass(frozen=True)
class Lane:
    """One object on the frame that it is to be found on."""

    bank: ObjectState
    features: FrameFeatures
    num_frames: int  # of the video, or 16 if it has more
    step: int = 1  # from one frame to the next: -1 backwards


class LookBack(NamedTuple):
    """What an object looks back at, in the official order."""

    memories: list[torch.Tensor]  # each (token, memory channel)
    rows: list[int]  # of the model's temporal table, one a memory
    pointers: list[torch.Tensor]  # each (channel,)
    ages: list[float]  # one a pointer, 1 being the oldest age that an ordinary pointer can have


@dataclass(frozen=True)
class Reach:
    """How far back frames look; the defaults are SAM 2's own."""

    memory_frames: int = MEMORY_SPAN_FRAMES  # tracked ones whose memories a frame looks at
    max_conditioning: int | None = None  # conditioning ones, the closest; None: all
    ranked: bool = False  # memories count by their rank, as a policy kept them, and not by their age


def look_back(
    bank: ObjectState, frame_index: int, num_frames: int, reach: Reach = Reach(), step: int = 1
) -> LookBack:
    """Return what an object looks back at from a frame.

    Conditioning frames, of any age, have the model's last row. A gap, left by a conditioning frame among the
    last ones, is skipped and not filled by an older frame, unless that one is not among those chosen: then it
    is looked at like any other. Anchors of a memory policy are looked at like conditioning frames, the newest
    frame beside that as itself. Fewer
    memories than the official number cost less and change masks. Backwards, all is mirrored.
    """
    conditioning = bank.conditioning
    chosen = closest(list(conditioning), frame_index, reach.max_conditioning)
    anchors = sorted(bank.anchors)
    others = {t: frame for t, frame in conditioning.items() if t not in chosen}
    pointers = bank.pointers | {t: frame.pointer for t, frame in others.items()}
    recent, rows = _recent(bank, others, frame_index, reach, step)
    span = min(num_frames, POINTER_SPAN_FRAMES) - 1
    past = {t: step * (frame_index - t) for t in [*chosen, *anchors] if step * (frame_index - t) >= 0}
    # References, before the video, lend a pointer only where they are chosen.
    pointer_ages = [
        age
        for age in range(1, span + 1)
        if 0 <= frame_index - step * age in pointers and frame_index - step * age not in bank.anchors
    ]
    return LookBack(
        [conditioning[t].memory for t in chosen] + [bank.memories[t] for t in anchors] + recent,
        [MEMORY_SPAN_FRAMES] * (len(chosen) + len(anchors)) + rows,
        [conditioning[t].pointer if t in conditioning else pointers[t] for t in past]
        + [pointers[frame_index - step * a] for a in pointer_ages],
        [age / max(span, 1) for age in [*past.values(), *pointer_ages]],
    )


def _recent(
    bank: ObjectState, others: Mapping[int, ConditioningFrame], frame_index: int, reach: Reach, step: int
) -> tuple[list[torch.Tensor], list[int]]:
    """Return memories of the last frames, the newest last, and their rows: the age, or the rank, less one.

    Args:
        others: Conditioning frames that are not among those chosen.
    """
    memories = bank.memories | {t: frame.memory for t, frame in others.items()}
    if reach.ranked:
        ages = {t: step * (frame_index - t) for t in memories}
        near = [t for t, age in ages.items() if t not in others or 0 < age <= MEMORY_SPAN_FRAMES]
        newest = sorted((t for t in near if t not in bank.anchors or ages[t] == 1), key=ages.__getitem__)
        newest = newest[: reach.memory_frames][::-1]
        return [memories[t] for t in newest], list(range(len(newest)))[::-1]
    ages = [age for age in range(reach.memory_frames, 0, -1) if frame_index - step * age in memories]
    return [memories[frame_index - step * age] for age in ages], [age - 1 for age in ages]


def closest(conditioning: Sequence[int], frame_index: int, limit: int | None) -> list[int]:
    """Return the conditioning frames that a frame looks at, in the official order; None is no limit.

    The last one before it, the first one from it on, and those next in distance
    (`sam2_utils.py`, `select_closest_cond_frames`).

    >>> closest([0, 10, 20, 30, 40], 22, limit=3)
    [20, 30, 10]
    """
    if limit is None or len(conditioning) <= limit:
        return list(conditioning)
    before, after = (
        [t for t in conditioning if t < frame_index],
        [t for t in conditioning if t >= frame_index],
    )
    nearest = [*([max(before)] if before else []), *([min(after)] if after else [])]
    rest = sorted((t for t in conditioning if t not in nearest), key=lambda t: abs(t - frame_index))
    return nearest + rest[: limit - len(nearest)]


def needed(conditioning: Sequence[int], next_frame: int, limit: int) -> set[int]:
    """Return the conditioning frames that any frame from the next one on can look at, going forward.

    One more than the limit: as long as there are more than it allows, they are looked at in another order.
    Those of the last frames are looked at like any other frame where they are not chosen.

    >>> sorted(needed(range(0, 100, 10), next_frame=45, limit=2))
    [20, 30, 40, 50, 60, 70, 80, 90]
    """
    past = sorted(t for t in conditioning if t < next_frame)
    last = [t for t in past if t >= next_frame - POINTER_SPAN_FRAMES]
    return {*past[-limit - 1 :], *last, *(t for t in conditioning if t >= next_frame)}


def batches(lanes: Sequence[Lane], at_once: int, reach: Reach = Reach()) -> list[list[tuple[int, LookBack]]]:
    """Return batches of at most `at_once` lanes, by index, that look back at equally many."""
    alike: dict[tuple[int, int], list[tuple[int, LookBack]]] = defaultdict(list)
    for i, lane in enumerate(lanes):
        where = (lane.bank, lane.features.frame_index, lane.num_frames)
        past = look_back(*where, reach, lane.step)
        alike[len(past.memories), len(past.pointers)].append((i, past))
    return [
        group[start : start + at_once] for group in alike.values() for start in range(0, len(group), at_once)
    ]


def padded_size(lanes: int, at_once: int) -> int:
    """Return the next power of two, so that graphs serve a few sizes and not all; at most `at_once`."""
    return min(at_once, 1 << (lanes - 1).bit_length())
