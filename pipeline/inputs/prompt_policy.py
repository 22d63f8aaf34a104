"""TRACKLETS -> PROMPTS: on which frames a detector's box is given to SAM 2. Pure functions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.inputs.detection import Detection
from pipeline.inputs.tracklets import Tracklets
from pipeline.records import Prompt

Box = tuple[float, float, float, float]


@dataclass
class PromptPolicy:
    """When an object is prompted; masks are SAM 2's in between."""

    first_frames: int = 10  # of which the best one gives the first prompt
    every_frames: int | None = None  # another key frame this often; null: never
    after_gap_frames: int = 15  # one where an object is detected again after so many frames without
    max_overlap: float = 0.3  # IoU with another object's box; more is no good prompt
    parted_iou: float = 0.3  # below this, SAM 2's box and the detector's are of different things
    parted_frames: int = 5  # detections on end that must say so before a correction is asked for

    def __post_init__(self):
        for name in ("first_frames", "every_frames", "after_gap_frames", "parted_frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"prompts.{name} must be 1 or more, got {value}")
        for name in ("max_overlap", "parted_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"prompts.{name} must be 0 to 1, got {getattr(self, name)}")


def key_frames(tracklets: Tracklets, policy: PromptPolicy) -> list[Prompt]:
    """Return the key frames of a video's objects, by object and frame."""
    crowd = _by_frame(tracklets)
    return [
        _prompt(object_id, detection)
        for object_id, tracklet in tracklets.items()
        for detection in _chosen(tracklet, crowd, policy)
    ]


def corrections(
    tracklets: Tracklets, masks: Mapping[int, Mapping[int, Box | None]], policy: PromptPolicy
) -> list[Prompt]:
    """Return corrections where what SAM 2 found and what the detector found part for a while.

    Args:
        masks: The masks' boxes, None where a mask is empty, by object and frame.
    """
    crowd = _by_frame(tracklets)
    found = []
    for object_id, tracklet in tracklets.items():
        boxes = masks.get(object_id, {})
        run: list[Detection] = []
        for detection in (d for d in tracklet if d.frame_index in boxes):
            run = [*run, detection] if _parts(detection, boxes, policy) else []
            if len(run) == policy.parted_frames:
                best = _best([d for d in run if not _is_crowded(d, crowd, policy)] or run)
                found.append(_prompt(object_id, best, is_correction=True))
    return found


def iou(a: Box, b: Box) -> float:
    """Return the intersection over the union of two boxes.

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (_area(a) + _area(b) - common)


def _chosen(
    tracklet: Sequence[Detection], crowd: Mapping[int, list[Detection]], policy: PromptPolicy
) -> list[Detection]:
    clear = [d for d in tracklet if not _is_crowded(d, crowd, policy)] or list(tracklet)
    first = _best([d for d in clear if d.frame_index < clear[0].frame_index + policy.first_frames])
    chosen = [first]
    resumed = {d.frame_index for before, d in pairwise(tracklet) if _is_gap(before, d, policy)}
    back = False
    for detection in clear:
        back |= detection.frame_index in resumed
        since = detection.frame_index - chosen[-1].frame_index
        if since > 0 and (back or (policy.every_frames is not None and since >= policy.every_frames)):
            chosen.append(detection)
            back = False
    return chosen


def _is_gap(before: Detection, after: Detection, policy: PromptPolicy) -> bool:
    return after.frame_index - before.frame_index > policy.after_gap_frames


def _is_crowded(detection: Detection, crowd: Mapping[int, list[Detection]], policy: PromptPolicy) -> bool:
    others = (d for d in crowd[detection.frame_index] if d is not detection)
    return any(iou(detection.box_xyxy, other.box_xyxy) > policy.max_overlap for other in others)


def _parts(detection: Detection, boxes: Mapping[int, Box | None], policy: PromptPolicy) -> bool:
    box = boxes[detection.frame_index]
    return box is None or iou(detection.box_xyxy, box) < policy.parted_iou


def _best(detections: Sequence[Detection]) -> Detection:
    """Return the one that the detector is surest of, the first of several."""
    return max(detections, key=lambda d: d.score)


def _by_frame(tracklets: Tracklets) -> dict[int, list[Detection]]:
    crowd: dict[int, list[Detection]] = defaultdict(list)
    for tracklet in tracklets.values():
        for detection in tracklet:
            crowd[detection.frame_index].append(detection)
    return crowd


def _prompt(object_id: int, detection: Detection, is_correction: bool = False) -> Prompt:
    return Prompt(
        object_id,
        detection.frame_index,
        box_xyxy=detection.box_xyxy,
        label=detection.label,
        is_correction=is_correction,
    )


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
