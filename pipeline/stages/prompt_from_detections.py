"""Detections of any detector to a prompt manifest, and to corrections of a run over one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import InputMissing, UsageError
from pipeline.inputs.detection import Box, Detection
from pipeline.inputs.detection_formats import DetectionFiles
from pipeline.inputs.detections import VideoDetections, load_detections
from pipeline.inputs.disagreements import TrackedObject, corrections, tracklets_by_object
from pipeline.inputs.manifest import ManifestConfig
from pipeline.inputs.manifest_table import seen_from
from pipeline.inputs.prompt_policy import PromptPolicy, good_boxes, key_frames
from pipeline.inputs.source import SourceConfig
from pipeline.inputs.tracklets import ByteTrackConfig, Tracklet, tracklets_of
from pipeline.outputs.reader import read_masks
from pipeline.work.run_folder import RunFolder

ManifestRow = dict[str, Any]


@dataclass
class FromDetectionsConfig(DetectionFiles):
    """How detections become prompts."""

    bytetrack: ByteTrackConfig = field(default_factory=ByteTrackConfig)
    prompts: PromptPolicy = field(default_factory=PromptPolicy)
    check: ManifestConfig = field(default_factory=ManifestConfig)
    source: SourceConfig = field(default_factory=SourceConfig)


def key_frame_rows(detections: str, out_folder: Path, config: FromDetectionsConfig) -> list[ManifestRow]:
    """Return a manifest's rows: the key frames of all objects that the detections show.

    Args:
        out_folder: Of the manifest, that paths in it start from.

    Raises:
        ManifestError: With all faults of the detections.
        UsageError: A video has more objects than allowed, or the package `trackers` is not installed.
    """
    return [
        row
        for video in load_detections(detections, config, config.check, config.source)
        for row in _key_frames_of(video, seen_from(out_folder, video.video_uri), config)
    ]


def correction_rows(
    detections: str, run: str, base: Sequence[ManifestRow], config: FromDetectionsConfig
) -> list[ManifestRow]:
    """Return the rows that correct a run where its masks and the detections part.

    Args:
        base: The rows that the run was made from, and any that were added since.

    Raises:
        ManifestError, UsageError: As of `key_frame_rows`.
        InputMissing: The run has no masks at all of these videos.
    """
    videos = load_detections(detections, config, config.check, config.source)
    given: dict[str, list[ManifestRow]] = defaultdict(list)
    for row in base:
        given[row["video_id"]].append(row)
    tracked = {video.video_id: _tracked(run, video.video_id, given[video.video_id]) for video in videos}
    if not any(tracked.values()):
        raise InputMissing(f"{run}: no masks of any video that there are detections of, {sorted(tracked)}")
    return [
        row
        for video in videos
        for row in _corrections_of(video, tracked[video.video_id], given[video.video_id], config)
    ]


def manifest_of(run: str) -> str:
    """Return the URI of the manifest that a run was made from.

    Raises:
        InputMissing: There is no such run.
    """
    [about] = RunFolder.of(run).read_json([RunFolder.about])
    if about is None:
        raise InputMissing(f"{run}: no {RunFolder.about} there, which every run has")
    return about["config"]["manifest"]


def _tracklets(video: VideoDetections, config: FromDetectionsConfig) -> list[Tracklet]:
    frames_per_second = video.facts.num_frames_hint / video.facts.duration_seconds
    return tracklets_of(video.detections, frames_per_second, config.bytetrack)


def _key_frames_of(video: VideoDetections, uri: str, config: FromDetectionsConfig) -> Iterator[ManifestRow]:
    tracklets = _tracklets(video, config)
    labels = {tracklet.object_id: tracklet.label for tracklet in tracklets}
    prompted = key_frames(tracklets, config.prompts)
    if len(prompted) > config.check.max_objects:
        raise UsageError(
            f"video {video.video_id!r}: {len(prompted)} objects, check.max_objects allows "
            f"{config.check.max_objects}; a higher bytetrack.birth_score or min_length_frames gives fewer"
        )
    for object_id, boxes in prompted.items():
        for detection in boxes:
            yield _row(video.video_id, uri, object_id, detection, labels[object_id])


def _corrections_of(
    video: VideoDetections,
    tracked: Sequence[TrackedObject],
    given: Sequence[ManifestRow],
    config: FromDetectionsConfig,
) -> Iterator[ManifestRow]:
    tracklets = _tracklets(video, config)
    good = good_boxes(tracklets, config.prompts)
    owned = tracklets_by_object(tracked, tracklets, config.prompts)
    first_rows = {row["object_id"]: row for row in reversed(given)}
    for one in tracked:
        own = owned.get(one.object_id, [])
        detections = {d.frame_index: d for tracklet in own for d in tracklet.detections}
        may_prompt = {d for tracklet in own for d in good[tracklet.object_id]}
        for detection in corrections(one, detections, may_prompt, config.prompts):
            about = first_rows[one.object_id]
            row = _row(video.video_id, about["video_uri"], one.object_id, detection, about["label"])
            yield row | {"kind": config.prompts.parted_kind.value}


def _tracked(run: str, video_id: str, given: Sequence[ManifestRow]) -> list[TrackedObject]:
    """Return the objects of a run that the manifest knows; none if the run has no masks of the video."""
    object_ids = sorted({row["object_id"] for row in given})
    try:
        masks = read_masks(run, video_id=video_id, object_ids=object_ids)
    except InputMissing:
        return []
    rows: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in masks.to_table(["box_xyxy", "prompted", "time_seconds"]).to_pylist():
        rows[row["object_id"]].append(row)
    return [
        _tracked_object(object_id, its, [row for row in given if row["object_id"] == object_id])
        for object_id, its in rows.items()
    ]


def _tracked_object(
    object_id: int, masks: Sequence[Mapping[str, Any]], given: Iterable[ManifestRow]
) -> TrackedObject:
    """Return what is known of an object up to its first prompt that the run was not made from."""
    own = [row for row in given if row["prompt_video_uri"] is None]
    own = [{**row, "frame_index": _frame_of(row, masks)} for row in own]
    prompted = {mask["frame_index"] for mask in masks if mask["prompted"]}
    new = min((row["frame_index"] for row in own if row["frame_index"] not in prompted), default=None)
    return TrackedObject(
        object_id,
        {m["frame_index"]: _box(m["box_xyxy"]) for m in masks if new is None or m["frame_index"] < new},
        prompted,
        {row["frame_index"]: box for row in own if (box := _box(row["box_xyxy"])) is not None},
    )


def _frame_of(row: ManifestRow, masks: Sequence[Mapping[str, Any]]) -> int:
    """Return the frame of a prompt, also of one by time: the last one that does not start later."""
    if row["frame_index"] is not None:
        return row["frame_index"]
    started = (mask["frame_index"] for mask in masks if mask["time_seconds"] <= row["time_seconds"])
    return max(started, default=0)


def _box(values: Sequence[float] | None) -> Box | None:
    return None if values is None else (values[0], values[1], values[2], values[3])


def _row(video_id: str, uri: str, object_id: int, detection: Detection, label: str | None) -> ManifestRow:
    return {
        "video_id": video_id,
        "video_uri": uri,
        "object_id": object_id,
        "frame_index": detection.frame_index,
        "box_xyxy": list(detection.box_xyxy),
        "label": label,
    }
