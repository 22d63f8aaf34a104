"""DETECTIONS -> TRACKLETS: which boxes of a video are of one object, by ByteTrack (arXiv 2110.06864)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.inputs.detection import Detection, iou

BYTETRACK_FRAMES_PER_SECOND = 30  # that its buffer of lost objects is counted in, whatever the video has


@dataclass
class ByteTrackConfig:
    """How boxes are joined to objects; most names and defaults are ByteTrack's."""

    birth_score: float = 0.5  # that a box must have to begin an object
    sure_score: float = 0.5  # boxes from here on are matched first, the others with what is left
    min_iou: float = 0.1  # of a box with where its object was expected
    lost_seconds: float = 1.0  # after which an object that is detected again is another one
    min_length_frames: int = 3  # that an object must be detected on
    every_frames: int = 1  # the detector looked at one frame in so many
    per_label: bool = True  # a tracker of its own for each class: objects of two are never one

    def __post_init__(self):
        for name in ("birth_score", "sure_score", "min_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"bytetrack.{name} must be 0 to 1, got {getattr(self, name)}")
        for name in ("min_length_frames", "every_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"bytetrack.{name} must be 1 or more, got {getattr(self, name)}")
        if self.lost_seconds < 0:
            raise ValueError(f"bytetrack.lost_seconds must be 0 or more, got {self.lost_seconds}")


@dataclass(frozen=True)
class Tracklet:
    """The detections that are taken for one object's."""

    object_id: int  # from 1, in the order of births
    detections: tuple[Detection, ...]  # in frame order, one a frame
    label: str | None  # the most frequent one

    @cached_property
    def by_frame(self) -> dict[int, Detection]:
        return {detection.frame_index: detection for detection in self.detections}


def tracklets_of(
    detections: Sequence[Detection], frames_per_second: float, config: ByteTrackConfig
) -> list[Tracklet]:
    """Return the objects of one video, by birth; boxes of no object are left out.

    Args:
        detections: In frame order. Their order on a frame decides nothing but ties.

    Raises:
        UsageError: The package `trackers` is not installed.
    """
    groups: dict[str, list[Detection]] = defaultdict(list)
    for detection in detections:
        groups[detection.label or "" if config.per_label else ""].append(detection)
    found = [one for group in groups.values() for one in _joined(group, frames_per_second, config)]
    objects = [one for one in found if len(one) >= config.min_length_frames]
    objects.sort(key=lambda one: (one[0].frame_index, -one[0].score, one[0].box_xyxy, one[0].label or ""))
    return [Tracklet(i, tuple(one), _label_of(one)) for i, one in enumerate(objects, start=1)]


def _joined(
    detections: Sequence[Detection], frames_per_second: float, config: ByteTrackConfig
) -> list[list[Detection]]:
    """Return the detections of each object that one tracker follows, from the one it is born of on."""
    tracker = _bytetrack(frames_per_second / config.every_frames, config)
    first: dict[Any, Detection] = {}  # by ByteTrack's own objects, which have a name from the second one on
    later: dict[int, list[Detection]] = defaultdict(list)  # by name
    for boxes in _frames(detections, config.every_frames):
        names = _tracker_ids(tracker, boxes)
        for name, detection in names:
            if name >= 0:
                later[name].append(detection)
        nameless = [detection for name, detection in names if name < 0]
        for born in tracker.tracks:
            if born not in first:
                first[born] = _nearest(nameless, born.get_state_bbox())
    return [[detection, *later.get(born.tracker_id, [])] for born, detection in first.items()]


def _frames(detections: Sequence[Detection], every_frames: int) -> Iterator[list[Detection]]:
    """Yield the detections of each frame that was looked at, from the first to the last with any."""
    by_frame: dict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_frame[detection.frame_index].append(detection)
    first, last = min(by_frame), max(by_frame)
    for frame_index in sorted({*range(first, last, every_frames), *by_frame}):
        yield by_frame.get(frame_index, [])


def _tracker_ids(tracker: Any, boxes: Sequence[Detection]) -> list[tuple[int, Detection]]:
    """Return the detections of one frame with ByteTrack's name of each, -1 where it has none."""
    import supervision as sv

    given = sv.Detections(
        xyxy=np.array([d.box_xyxy for d in boxes], np.float64).reshape(-1, 4),
        confidence=np.array([d.score for d in boxes], np.float64),
        data={"place": np.arange(len(boxes))},
    )
    named = tracker.update(given)
    places = named.data.get("place", ())
    return [(int(name), boxes[int(place)]) for name, place in zip(named.tracker_id, places, strict=True)]


def _nearest(detections: Sequence[Detection], box: Sequence[float]) -> Detection:
    x0, y0, x1, y1 = (float(value) for value in box)
    return max(detections, key=lambda d: iou(d.box_xyxy, (x0, y0, x1, y1)))


def _label_of(detections: Sequence[Detection]) -> str | None:
    labels: Mapping[str, int] = Counter(d.label for d in detections if d.label is not None)
    return max(labels, key=lambda label: labels[label], default=None)


def _bytetrack(frames_per_second: float, config: ByteTrackConfig) -> Any:
    try:
        from trackers import ByteTrackTracker
    except ImportError:
        raise UsageError(
            "ByteTrack is in the package `trackers`: pip install --no-deps trackers==2.6.1 "
            "(docs/detections.md)"
        ) from None
    return ByteTrackTracker(
        lost_track_buffer=round(BYTETRACK_FRAMES_PER_SECOND * config.lost_seconds),
        frame_rate=frames_per_second,
        track_activation_threshold=config.birth_score,
        minimum_consecutive_frames=1,  # `min_length_frames` decides
        minimum_iou_threshold=config.min_iou,
        high_conf_det_threshold=config.sure_score,
    )
