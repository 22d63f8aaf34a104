"""DETECTIONS -> TRACKLETS: which boxes of a video are of one object, by ByteTrack (arXiv 2110.06864)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.inputs.detection import Detection

Tracklets = dict[int, list[Detection]]  # by object id, from 1 in the order of birth; in frame order


@dataclass
class ByteTrackConfig:
    """How boxes are joined; the names and most defaults are ByteTrack's."""

    birth_score: float = 0.5  # that a new object's boxes must have
    sure_score: float = 0.5  # boxes from here on are matched first, the others with what is left
    min_iou: float = 0.1  # of a box with where its object was expected
    lost_seconds: float = 1.0  # after which an object that was not detected is another one
    min_length_frames: int = 3  # that an object must be detected on, on end
    per_label: bool = True  # objects of two classes are never one

    def __post_init__(self):
        for name in ("birth_score", "sure_score", "min_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"bytetrack.{name} must be 0 to 1, got {getattr(self, name)}")
        if self.min_length_frames < 1:
            raise ValueError(f"bytetrack.min_length_frames must be 1 or more, got {self.min_length_frames}")
        if self.lost_seconds < 0:
            raise ValueError(f"bytetrack.lost_seconds must be 0 or more, got {self.lost_seconds}")


def tracklets_of(
    detections: Sequence[Detection], frames_per_second: float, config: ByteTrackConfig
) -> Tracklets:
    """Return the objects of one video; boxes of no object are left out.

    Args:
        detections: In frame order.

    Raises:
        UsageError: The package `trackers` is not there.
    """
    groups: dict[str | None, list[Detection]] = defaultdict(list)
    for detection in detections:
        groups[detection.label if config.per_label else None].append(detection)
    found = [
        tracklet
        for group in groups.values()
        for tracklet in _of_one_tracker(group, frames_per_second, config)
    ]
    found.sort(key=lambda tracklet: (tracklet[0].frame_index, tracklet[0].box_xyxy))
    return dict(enumerate(found, start=1))


def _of_one_tracker(
    detections: Sequence[Detection], frames_per_second: float, config: ByteTrackConfig
) -> list[list[Detection]]:
    import supervision as sv

    tracker = _tracker(frames_per_second, config)
    by_frame: dict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_frame[detection.frame_index].append(detection)
    tracklets: dict[int, list[Detection]] = defaultdict(list)
    for frame_index in range(min(by_frame), max(by_frame) + 1):
        boxes = by_frame[frame_index]
        given = sv.Detections(
            xyxy=np.array([d.box_xyxy for d in boxes], float).reshape(-1, 4),
            confidence=np.array([d.score for d in boxes], float),
            data={"place": np.arange(len(boxes))},
        )
        joined = tracker.update(given)
        for place, tracker_id in zip(joined.data.get("place", ()), joined.tracker_id, strict=True):
            if tracker_id >= 0:
                tracklets[int(tracker_id)].append(boxes[int(place)])
    return list(tracklets.values())


def _tracker(frames_per_second: float, config: ByteTrackConfig) -> Any:
    try:
        from trackers import ByteTrackTracker
    except ImportError:
        raise UsageError(
            "ByteTrack is in the package `trackers`: pip install --no-deps trackers==2.6.1 "
            "(docs/detections.md)"
        ) from None
    return ByteTrackTracker(
        lost_track_buffer=round(30 * config.lost_seconds),  # counted at 30 frames/s, whatever the video has
        frame_rate=frames_per_second,
        track_activation_threshold=config.birth_score,
        minimum_consecutive_frames=config.min_length_frames,
        minimum_iou_threshold=config.min_iou,
        high_conf_det_threshold=config.sure_score,
    )
