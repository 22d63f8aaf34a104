"""Detections of any detector: read, and checked whole against their videos before any is used."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DecodeCorrupt, InputMissing, InputTooLarge, InputUnavailable, ManifestError
from pipeline.inputs.detection import Box, Detection, clipped, faults_of
from pipeline.inputs.detection_formats import DetectionFiles, read_detection_rows
from pipeline.inputs.manifest import ManifestConfig, UnreadableVideos, report
from pipeline.inputs.manifest_table import Fault, Row, base_of, resolved
from pipeline.inputs.probe import VideoFacts
from pipeline.inputs.probe_process import ended_with_failure, look_from_afar
from pipeline.inputs.source import SourceConfig, localized

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoDetections:
    """One video with all that was detected in it, checked."""

    video_id: str
    video_uri: str  # absolute
    facts: VideoFacts
    detections: tuple[Detection, ...]  # by frame, score and box: the order in the file does not matter


@dataclass(frozen=True)
class _Placed:
    """A row whose values are of the right kind, and its video."""

    row: Row
    video_uri: str  # absolute
    frame_index: int  # from 0

    @property
    def video_id(self) -> str:
        return self.row.values["video_id"]

    @property
    def is_share(self) -> bool:
        return bool(self.row.values.get("is_share"))


def load_detections(
    uri: str, files: DetectionFiles, check: ManifestConfig, source: SourceConfig
) -> list[VideoDetections]:
    """Return all videos of `uri` with their detections, in the order of their first rows.

    Raises:
        ManifestError: With every fault found in any row, column and video, one line each.
        InputMissing: There are no detections.
        InputUnavailable: The store does not answer.
    """
    rows, faults = read_detection_rows(uri, files)
    base, placed = base_of(uri), []
    for row in rows:
        found = list(_row_faults(row, files))
        faults += found
        if not found:
            frame_index = row.values["frame_index"] - files.first
            placed.append(_Placed(row, _uri_of(row, files, base), frame_index))
    faults += _two_places(placed)
    videos = list(_by_video(placed).values())
    with ThreadPoolExecutor(check.probe_threads) as pool, ended_with_failure():
        looked_at = list(pool.map(lambda its: _look_at(its, check, source), videos))
    loaded = []
    for its, (facts, fault) in zip(videos, looked_at, strict=True):
        if facts is None:
            faults += fault
            continue
        faults += [fault for one in its for fault in _misfits(one, facts)]
        loaded.append((its, facts))
    if faults:
        raise ManifestError(report(faults, check.max_faults_shown))
    return [_video(its, facts) for its, facts in loaded]


def _row_faults(row: Row, files: DetectionFiles) -> Iterator[Fault]:
    """Yield what is wrong with a row alone."""
    v = row.values
    if not v["video_id"]:
        yield row.fault("video_id", "null" if v["video_id"] is None else "nothing", "a value")
    if not v["video_uri"] and files.videos is None:
        yield row.fault("video_uri", "nothing", "a value; or videos=clips/*.mp4 for all")
    numbers = [v["frame_index"], v["score"], *(v["box_xyxy"] or [None])]
    if len(numbers) != 6 or not all(_is_number(number) for number in numbers):
        found = f"frame_index {v['frame_index']}, score {v['score']}, box_xyxy {v['box_xyxy']}"
        yield row.fault("(all)", found, "a frame, a score and [x0, y0, x1, y1]")
        return
    for column, found, allowed in faults_of(v["frame_index"] - files.first, v["box_xyxy"], v["score"]):
        if column == "frame_index":
            found, allowed = v["frame_index"], f"{files.first} or more"
        yield row.fault(column, found, allowed)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _uri_of(row: Row, files: DetectionFiles, base: str) -> str:
    """Return where a row's video is: a pattern starts from here, a URI of the file from the file."""
    if row.values["video_uri"]:
        return resolved(row.values["video_uri"], base)
    return resolved(str(files.videos).replace("*", row.values["video_id"]), ".")


def _two_places(placed: list[_Placed]) -> Iterator[Fault]:
    first: dict[str, _Placed] = {}
    for one in placed:
        known = first.setdefault(one.video_id, one)
        if one.video_uri != known.video_uri:
            allowed = f"{known.video_uri!r}, as {known.row.file}, row {known.row.row} says"
            yield one.row.fault("video_uri", repr(one.video_uri), allowed)


def _by_video(placed: list[_Placed]) -> dict[str, list[_Placed]]:
    groups: dict[str, list[_Placed]] = defaultdict(list)
    for one in placed:
        groups[one.video_id].append(one)
    return groups


def _look_at(
    its: list[_Placed], check: ManifestConfig, source: SourceConfig
) -> tuple[VideoFacts | None, list[Fault]]:
    """Return what is known of a video; or nothing, and why, if that is a fault."""
    try:
        with localized(its[0].video_uri, source) as path:
            furthest = max(one.frame_index for one in its)
            return look_from_afar(path, furthest, check.probe_seconds), []
    except (InputMissing, InputUnavailable, InputTooLarge, DecodeCorrupt) as error:
        if check.unreadable_videos is UnreadableVideos.keep:
            logger.warning("video %s is left out: %s", its[0].video_id, error)
            return None, []
        return None, [its[0].row.fault("video_id", f"{its[0].video_id}: {error}", "a video that can be read")]


def _misfits(one: _Placed, facts: VideoFacts) -> Iterator[Fault]:
    """Yield what in a detection does not fit its video."""
    height, width = facts.size_hw
    if one.frame_index >= facts.num_frames_hint:
        first = one.row.values["frame_index"] - one.frame_index
        last = first + facts.num_frames_hint - 1
        yield one.row.fault("frame_index", one.row.values["frame_index"], f"{first} to {last}")
    box = _box_px(one, facts)
    if clipped(box, facts.size_hw) is None:
        shown = [round(value, 3) for value in box]
        yield one.row.fault("box_xyxy", shown, f"in part inside the frame, {width}x{height} pixels")


def _box_px(one: _Placed, facts: VideoFacts) -> Box:
    height, width = facts.size_hw
    x0, y0, x1, y1 = (float(value) for value in one.row.values["box_xyxy"])
    return (x0 * width, y0 * height, x1 * width, y1 * height) if one.is_share else (x0, y0, x1, y1)


def _video(its: list[_Placed], facts: VideoFacts) -> VideoDetections:
    detections = [
        Detection(one.frame_index, box, float(one.row.values["score"]), one.row.values["label"])
        for one in its
        if (box := clipped(_box_px(one, facts), facts.size_hw)) is not None
    ]
    detections.sort(key=lambda d: (d.frame_index, -d.score, d.box_xyxy, d.label or ""))
    return VideoDetections(its[0].video_id, its[0].video_uri, facts, tuple(detections))
