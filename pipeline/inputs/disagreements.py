"""Where a run's masks and a detector part, and what corrects them. Pure functions.

A run's objects are tracklets by name where their prompts were made of these detections, otherwise by
where their masks were.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.inputs.detection import Box, Detection, iou
from pipeline.inputs.prompt_policy import PromptPolicy, best
from pipeline.inputs.tracklets import Tracklet

SAME_BOX_PX = 0.01  # Parquet rounds boxes to float32


@dataclass(frozen=True)
class TrackedObject:
    """What a run made of one object, frame by frame, and the boxes that it was prompted with."""

    object_id: int
    boxes: Mapping[int, Box | None]  # of the masks by frame; None where a mask is empty
    prompted: Collection[int]  # its frames with a prompt; none if another video alone shows what it is
    prompt_boxes: Mapping[int, Box]  # by frame; fewer than `prompted`, as there are other prompts too


def corrections(
    tracked: TrackedObject,
    detections: Mapping[int, Detection],
    good: Collection[Detection],
    policy: PromptPolicy,
) -> list[Detection]:
    """Return the boxes that bring an object back to where the detector saw it, in frame order.

    One for each time that mask and detector part: what comes after it is another run's to show. None where
    they have been parted ever since an earlier correction: another one a frame later would help no more.

    Args:
        detections: Of the object's tracklets, by frame.
        good: Those of them that may be prompts. The others are no evidence, either way.
    """
    found: list[Detection] = []
    apart: list[Detection] = []
    has_held, first_prompted = True, min(tracked.prompted, default=-1)
    for frame_index in sorted((detections.keys() | set(tracked.prompted)) & tracked.boxes.keys()):
        if frame_index in tracked.prompted:
            has_held = has_held if frame_index <= first_prompted else False
            continue
        detection = detections[frame_index]
        if frame_index <= first_prompted or detection not in good:
            continue
        if not _parts(detection, tracked.boxes[frame_index], policy):
            has_held = True
            apart.clear()
            continue
        apart.append(detection)
        if len(apart) == policy.parted_frames and has_held:
            found.append(best(apart))
    return found


def tracklets_by_object(
    objects: Sequence[TrackedObject], tracklets: Sequence[Tracklet], policy: PromptPolicy
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
        if agreeing >= policy.parted_frames and tracklet_id not in taken and not _overlap(own, tracklet):
            own.append(tracklet)
            taken.add(tracklet_id)
    return owner


def _parts(detection: Detection, box: Box | None, policy: PromptPolicy) -> bool:
    return box is None or iou(detection.box_xyxy, box) < policy.parted_iou


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


def _frames_in_common(tracked: TrackedObject, tracklet: Tracklet, policy: PromptPolicy) -> int:
    boxes = ((tracked.boxes.get(d.frame_index), d.box_xyxy) for d in tracklet.detections)
    return sum(box is not None and iou(box, detected) >= policy.same_iou for box, detected in boxes)


def _overlap(own: Sequence[Tracklet], tracklet: Tracklet) -> bool:
    """Say whether a tracklet has a frame in common with any of an object's."""
    return any(other.by_frame.keys() & tracklet.by_frame.keys() for other in own)
