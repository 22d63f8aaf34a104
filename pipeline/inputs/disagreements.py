"""Where a run's masks and a detector part, and what corrects them. Pure functions.

A run's objects are tracklets by name where their prompts were made of these detections, otherwise by
where their masks were.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pipeline.inputs.detection import Box, Detection, iou
from pipeline.inputs.prompt_policy import best
from pipeline.inputs.tracklets import Tracklet

SAME_BOX_PX = 0.01  # Parquet rounds boxes to float32


class CorrectionKind(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """What the detector's box becomes."""

    correction = "correction"  # refines the mask that was tracked, from that frame on
    keyframe = "keyframe"  # says anew what the object is, to the whole video


@dataclass
class CorrectionPolicy:
    """When a run is corrected by the detector's box."""

    min_iou: float = 0.3  # of the mask's box and the detector's; below, they are of different things
    for_detections: int = 5  # on end that must say so, or find the object where the mask is empty
    kind: CorrectionKind = CorrectionKind.correction
    same_iou: float = 0.5  # of a mask's box and a detector's that are of the same thing

    def __post_init__(self):
        for name in ("min_iou", "same_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"corrections.{name} must be 0 to 1, got {getattr(self, name)}")
        if self.for_detections < 1:
            raise ValueError(f"corrections.for_detections must be 1 or more, got {self.for_detections}")


@dataclass(frozen=True)
class TrackedObject:
    """What a run made of one object, frame by frame, and the boxes that it was prompted with."""

    object_id: int
    boxes: Mapping[int, Box | None]  # of the masks by frame; None where a mask is empty
    prompted: Collection[int]  # frames with a prompt
    prompt_boxes: Mapping[int, Box]  # by frame; fewer than `prompted`, as there are other prompts too


def corrections(
    tracked: TrackedObject,
    detections: Mapping[int, Detection],
    good: Collection[Detection],
    policy: CorrectionPolicy,
) -> list[Detection]:
    """Return the boxes that bring an object back to where the detector saw it, in frame order.

    One for each time that mask and detector part: what comes after it is another run's to show.

    Args:
        detections: Of the object's tracklets, by frame.
        good: Those of them that may be prompts.
    """
    found: list[Detection] = []
    apart: list[Detection] = []
    for frame_index in sorted(detections.keys() & tracked.boxes.keys()):
        detection = detections[frame_index]
        if frame_index in tracked.prompted or frame_index <= min(tracked.prompted, default=frame_index):
            continue
        if detection not in good:
            continue  # the detector is not sure: that is no evidence either way
        apart = [*apart, detection] if _parts(detection, tracked.boxes[frame_index], policy) else []
        if len(apart) == policy.for_detections:
            found.append(best(apart))
    return found


def tracklets_by_object(
    objects: Sequence[TrackedObject], tracklets: Sequence[Tracklet], policy: CorrectionPolicy
) -> dict[int, list[Tracklet]]:
    """Return the tracklets of each object of a run: those of its name and prompts, or where its masks were.

    An object may have several tracklets, one after the other; a tracklet has one object.
    """
    named = {t.object_id: t for t in tracklets}
    owner = {o.object_id: [named[o.object_id]] for o in objects if _is_named(o, named.get(o.object_id))}
    votes = Counter(
        {
            (o.object_id, t.object_id): agreeing
            for o in objects
            if o.object_id not in owner
            for t in tracklets
            if t.object_id not in owner and (agreeing := _frames_in_common(o, t, policy))
        }
    )
    taken: set[int] = set()
    for (object_id, tracklet_id), agreeing in votes.most_common():
        own, tracklet = owner.setdefault(object_id, []), named[tracklet_id]
        if agreeing >= policy.for_detections and tracklet_id not in taken and not _overlap(own, tracklet):
            own.append(tracklet)
            taken.add(tracklet_id)
    return owner


def _parts(detection: Detection, box: Box | None, policy: CorrectionPolicy) -> bool:
    return box is None or iou(detection.box_xyxy, box) < policy.min_iou


def _is_named(tracked: TrackedObject, tracklet: Tracklet | None) -> bool:
    """Say whether an object was prompted with boxes of the tracklet of its name."""
    if tracklet is None:
        return False
    by_frame = tracklet.by_frame
    return any(
        frame in by_frame and _is_same(box, by_frame[frame].box_xyxy)
        for frame, box in tracked.prompt_boxes.items()
    )


def _is_same(a: Box, b: Box) -> bool:
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) < SAME_BOX_PX


def _frames_in_common(tracked: TrackedObject, tracklet: Tracklet, policy: CorrectionPolicy) -> int:
    boxes = ((tracked.boxes.get(d.frame_index), d.box_xyxy) for d in tracklet.detections)
    return sum(box is not None and iou(box, detected) >= policy.same_iou for box, detected in boxes)


def _overlap(own: Sequence[Tracklet], tracklet: Tracklet) -> bool:
    """Say whether a tracklet has a frame in common with any of an object's."""
    return any(other.by_frame.keys() & tracklet.by_frame.keys() for other in own)
