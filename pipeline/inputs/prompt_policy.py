"""TRACKLETS -> KEY FRAMES: on which frames a detector's box is given to SAM 2. Pure functions."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from pipeline.inputs.detection import Detection, iou
from pipeline.inputs.tracklets import Tracklet


class PartedKind(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """What the detector's box becomes where an object's masks have left it."""

    correction = "correction"  # refines the mask that was tracked, from that frame on
    keyframe = "keyframe"  # says anew what the object is, to the whole video


@dataclass
class PromptPolicy:
    """Which boxes of an object become prompts; in between, its masks are SAM 2's own."""

    min_score: float = 0.5  # of a box that is given as a prompt
    first_frames: int = 10  # after an object's first good box, of which the best is its first prompt
    every_frames: int | None = None  # another key frame this often; null: never
    after_gap_frames: int = 15  # one where an object is detected again after so many frames without
    max_overlap: float = 0.3  # IoU with another object's box: with more, a box may be of either
    parted_iou: float = 0.3  # below this, a mask's box and the detector's are of different things
    parted_frames: int = 5  # detections on end that must say so before the object is prompted again
    parted_kind: PartedKind = PartedKind.correction
    same_iou: float = 0.5  # from here on, a mask's box and the detector's are of the same thing

    def __post_init__(self):
        for name in ("min_score", "max_overlap", "parted_iou", "same_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"prompts.{name} must be 0 to 1, got {getattr(self, name)}")
        for name in ("first_frames", "every_frames", "after_gap_frames", "parted_frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"prompts.{name} must be 1 or more, got {value}")


def key_frames(tracklets: Sequence[Tracklet], policy: PromptPolicy) -> dict[int, list[Detection]]:
    """Return the boxes of each object that become key frames, in frame order, by object id.

    An object that others always overlap is prompted even so, one whose boxes are never sure is left out.
    """
    good = good_boxes(tracklets, policy)
    chosen = {t.object_id: _chosen(t, good[t.object_id] or _sure(t, policy), policy) for t in tracklets}
    return {object_id: boxes for object_id, boxes in chosen.items() if boxes}


def good_boxes(tracklets: Sequence[Tracklet], policy: PromptPolicy) -> dict[int, list[Detection]]:
    """Return by object id the boxes that tell what an object is: sure, and no other object's too."""
    on_frame: dict[int, list[Detection]] = defaultdict(list)
    for tracklet in tracklets:
        for detection in tracklet.detections:
            on_frame[detection.frame_index].append(detection)
    return {
        tracklet.object_id: [
            d for d in _sure(tracklet, policy) if not _is_crowded(d, on_frame[d.frame_index], policy)
        ]
        for tracklet in tracklets
    }


def best(detections: Sequence[Detection]) -> Detection:
    """Return the one that the detector is surest of, the first of several."""
    return max(detections, key=lambda d: d.score)


def _chosen(tracklet: Tracklet, good: Sequence[Detection], policy: PromptPolicy) -> list[Detection]:
    if not good:
        return []
    first = best([d for d in good if d.frame_index < good[0].frame_index + policy.first_frames])
    chosen = [first]
    resumed = _resumed_on(tracklet, policy)
    for detection in good:
        since = detection.frame_index - chosen[-1].frame_index
        is_due = policy.every_frames is not None and since >= policy.every_frames
        if since > 0 and (is_due or _lies_between(resumed, chosen[-1], detection)):
            chosen.append(detection)
    return chosen


def _sure(tracklet: Tracklet, policy: PromptPolicy) -> list[Detection]:
    return [d for d in tracklet.detections if d.score >= policy.min_score]


def _resumed_on(tracklet: Tracklet, policy: PromptPolicy) -> list[int]:
    """Return the frames on which an object is detected again after a gap."""
    return [
        after.frame_index
        for before, after in pairwise(tracklet.detections)
        if after.frame_index - before.frame_index > policy.after_gap_frames
    ]


def _lies_between(frames: Sequence[int], before: Detection, up_to: Detection) -> bool:
    """Say whether one of the rising frames comes after the one and not after the other."""
    place = bisect_right(frames, before.frame_index)
    return place < len(frames) and frames[place] <= up_to.frame_index


def _is_crowded(detection: Detection, on_frame: Sequence[Detection], policy: PromptPolicy) -> bool:
    others = (other for other in on_frame if other is not detection)
    return any(iou(detection.box_xyxy, other.box_xyxy) > policy.max_overlap for other in others)
