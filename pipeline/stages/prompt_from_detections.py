"""Detections of any detector to a prompt manifest, and to corrections of a run over one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import InputMissing, ManifestError, UsageError
from pipeline.inputs.detection import Box, Detection
from pipeline.inputs.detection_formats import DetectionFiles
from pipeline.inputs.detections import VideoDetections, load_detections
from pipeline.inputs.disagreements import CorrectionPolicy, TrackedObject, corrections, tracklets_by_object
from pipeline.inputs.manifest import ManifestConfig
from pipeline.inputs.manifest_table import base_of, read_rows, resolved
from pipeline.inputs.prompt_policy import PromptPolicy, good_boxes, key_frames
from pipeline.inputs.source import SourceConfig
from pipeline.inputs.tracklets import TrackerConfig, Tracklet, tracklets_of
from pipeline.outputs.reader import read_masks

ManifestRow = dict[str, Any]


@dataclass
class FromDetectionsConfig(DetectionFiles):
    """How detections become prompts."""

    bytetrack: TrackerConfig = field(default_factory=TrackerConfig)
    prompts: PromptPolicy = field(default_factory=PromptPolicy)
    corrections: CorrectionPolicy = field(default_factory=CorrectionPolicy)
    check: ManifestConfig = field(default_factory=ManifestConfig)
    source: SourceConfig = field(default_factory=SourceConfig)


def key_frame_rows(detections: str, config: FromDetectionsConfig) -> list[ManifestRow]:
    """Return a manifest's rows: the key frames of all objects that the detections show.

    Raises:
        ManifestError: With all faults of the detections.
        UsageError: A video has more objects than allowed, or the package `trackers` is not installed.
    """
    return [
        row
        for video in load_detections(detections, config, config.check, config.source)
        for row in _rows_of(video, _tracklets(video, config), config)
    ]


def correction_rows(
    detections: str, run: str, manifest: Sequence[ManifestRow], config: FromDetectionsConfig
) -> list[ManifestRow]:
    """Return the rows that correct a run where its masks and the detections part.

    Args:
        manifest: The rows that the run was made from.

    Raises:
        ManifestError, UsageError: As of `key_frame_rows`.
        InputMissing: The run has no masks at all of these videos.
    """
    videos = load_detections(detections, config, config.check, config.source)
    by_video: dict[str, list[ManifestRow]] = defaultdict(list)
    for row in manifest:
        by_video[row["video_id"]].append(row)
    tracked = {video.video_id: _tracked(run, video.video_id, by_video[video.video_id]) for video in videos}
    if not any(tracked.values()):
        raise InputMissing(f"{run}: no masks of any video that there are detections of, {sorted(tracked)}")
    return [
        row
        for video in videos
        for row in _corrections_of(video, tracked[video.video_id], by_video[video.video_id], config)
    ]


def rows_of_manifest(uri: str, out_folder: Path) -> list[ManifestRow]:
    """Return the rows of a Parquet manifest, as one in another folder holds them."""
    rows, faults = read_rows(uri)
    if faults:
        raise ManifestError("\n".join(map(str, faults)))
    base = base_of(uri)
    if Path(base).absolute() == out_folder.absolute():
        return [row.values for row in rows]
    columns = ("video_uri", "prompt_video_uri")
    return [
        row.values | {name: resolved(row.values[name], base) for name in columns if row.values[name]}
        for row in rows
    ]


def _tracklets(video: VideoDetections, config: FromDetectionsConfig) -> list[Tracklet]:
    frames_per_second = video.facts.num_frames_hint / video.facts.duration_seconds
    return tracklets_of(video.detections, frames_per_second, config.bytetrack)


def _rows_of(
    video: VideoDetections, tracklets: Sequence[Tracklet], config: FromDetectionsConfig
) -> Iterator[ManifestRow]:
    labels = {tracklet.object_id: tracklet.label for tracklet in tracklets}
    prompted = key_frames(tracklets, config.prompts)
    if len(prompted) > config.check.max_objects:
        raise UsageError(
            f"video {video.video_id!r}: {len(prompted)} objects, check.max_objects allows "
            f"{config.check.max_objects}; a higher bytetrack.birth_score or min_detections gives fewer"
        )
    for object_id, boxes in prompted.items():
        for detection in boxes:
            yield _row(video.video_id, video.video_uri, object_id, detection, labels[object_id])


def _corrections_of(
    video: VideoDetections,
    tracked: Sequence[TrackedObject],
    given: Sequence[ManifestRow],
    config: FromDetectionsConfig,
) -> Iterator[ManifestRow]:
    tracklets = _tracklets(video, config)
    good = good_boxes(tracklets, config.prompts)
    owned = tracklets_by_object(tracked, tracklets, config.corrections)
    first_rows = {row["object_id"]: row for row in reversed(given)}
    for one in tracked:
        own = owned.get(one.object_id, [])
        detections = {d.frame_index: d for tracklet in own for d in tracklet.detections}
        may_prompt = {d for tracklet in own for d in good[tracklet.object_id]}
        for detection in corrections(one, detections, may_prompt, config.corrections):
            about = first_rows[one.object_id]
            row = _row(video.video_id, about["video_uri"], one.object_id, detection, about["label"])
            yield row | {"kind": config.corrections.kind.value}


def _tracked(run: str, video_id: str, given: Iterable[ManifestRow]) -> list[TrackedObject]:
    """Return the objects of a run that the manifest knows; none if the run has no masks of the video."""
    prompt_boxes: dict[int, dict[int, Box]] = defaultdict(dict)
    for row in given:
        boxes = prompt_boxes[row["object_id"]]
        if row["box_xyxy"] is not None and row["frame_index"] is not None:
            boxes[row["frame_index"]] = _box(row["box_xyxy"])
    try:
        masks = read_masks(run, video_id=video_id, object_ids=list(prompt_boxes))
    except InputMissing:
        return []
    found: dict[int, dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for row in masks.to_table(["box_xyxy", "prompted"]).to_pylist():
        found[row["object_id"]][row["frame_index"]] = row
    return [
        TrackedObject(
            object_id,
            {frame: _box(row["box_xyxy"]) if row["box_xyxy"] else None for frame, row in rows.items()},
            {frame for frame, row in rows.items() if row["prompted"]},
            prompt_boxes[object_id],
        )
        for object_id, rows in found.items()
    ]


def _box(values: Sequence[float]) -> Box:
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1


def _row(video_id: str, uri: str, object_id: int, detection: Detection, label: str | None) -> ManifestRow:
    return {
        "video_id": video_id,
        "video_uri": uri,
        "object_id": object_id,
        "frame_index": detection.frame_index,
        "box_xyxy": list(detection.box_xyxy),
        "label": label,
    }
