"""Detections of any detector: read, and checked whole against their videos before any is used."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
    """A row with its video; what is wrong with it so far is told by column."""

    row: Row
    video_uri: str  # absolute
    first_frame: int  # the number that the file gives to frame 0
    wrong: frozenset[str]

    @property
    def video_id(self) -> str:
        return self.row.values["video_id"]

    @property
    def frame_index(self) -> int:
        return self.row.values["frame_index"] - self.first_frame

    def box_px(self, facts: VideoFacts) -> Box:
        height, width = facts.size_hw
        x0, y0, x1, y1 = (float(value) for value in self.row.values["box_xyxy"])
        is_share = self.row.values.get("is_share")
        return (x0 * width, y0 * height, x1 * width, y1 * height) if is_share else (x0, y0, x1, y1)


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
    videos = list(_by_video(_placed(rows, faults, files, base_of(uri))).values())
    with ThreadPoolExecutor(check.probe_threads) as pool, ended_with_failure():
        looked_at = list(pool.map(lambda its: _look_at(its, check, source), videos))
    faults += [fault for _, more in looked_at for fault in more]
    if faults:
        raise ManifestError(report(faults, check.max_faults_shown))
    return [
        _video(its, facts) for its, (facts, _) in zip(videos, looked_at, strict=True) if facts is not None
    ]


def _placed(rows: Sequence[Row], faults: list[Fault], files: DetectionFiles, base: str) -> Iterator[_Placed]:
    """Yield the rows whose video is known, and add what is wrong with any row alone to the faults."""
    places: dict[str, _Placed] = {}
    for row in rows:
        known_wrong = row.values.get("wrong", frozenset())
        found = [fault for fault in _row_faults(row, files) if fault.column not in known_wrong]
        faults += found
        wrong = known_wrong | {fault.column for fault in found}
        if wrong & {"video_id", "video_uri"}:
            continue
        one = _Placed(row, _uri_of(row, files, base), files.first, wrong)
        known = places.setdefault(one.video_id, one)
        if one.video_uri != known.video_uri:
            allowed = f"{known.video_uri!r}, as {known.row.file}, row {known.row.row} says"
            faults.append(row.fault("video_uri", repr(one.video_uri), allowed))
        yield one


def _row_faults(row: Row, files: DetectionFiles) -> Iterator[Fault]:
    """Yield all that is wrong with a row alone."""
    v = row.values
    if not v["video_id"]:
        yield row.fault("video_id", "null" if v["video_id"] is None else "nothing", "a value")
    if not v["video_uri"] and files.videos is None:
        yield row.fault("video_uri", "nothing", "a value; or videos=clips/*.mp4 for all")
    frame = v["frame_index"]
    from_0 = frame - files.first if isinstance(frame, int) else frame
    for column, found, allowed in faults_of(from_0, v["box_xyxy"], v["score"]):
        if column == "frame_index":
            found, allowed = frame, f"{files.first} or more"
        yield row.fault(column, found, allowed)


def _uri_of(row: Row, files: DetectionFiles, base: str) -> str:
    """Return where a row's video is: a pattern starts from here, a URI of the file from the file."""
    if files.videos is not None:
        return resolved(files.videos.replace("*", row.values["video_id"]), ".")
    return resolved(row.values["video_uri"], base)


def _by_video(placed: Iterator[_Placed]) -> dict[str, list[_Placed]]:
    groups: dict[str, list[_Placed]] = defaultdict(list)
    for one in placed:
        groups[one.video_id].append(one)
    return groups


def _look_at(
    its: list[_Placed], check: ManifestConfig, source: SourceConfig
) -> tuple[VideoFacts | None, list[Fault]]:
    """Return what is known of a video, and what is wrong with it or with the fit of its detections."""
    furthest = max((one.frame_index for one in its if "frame_index" not in one.wrong), default=0)
    try:
        with localized(its[0].video_uri, source) as path:
            facts = look_from_afar(path, furthest, check.probe_seconds)
    except (InputMissing, InputUnavailable, InputTooLarge, DecodeCorrupt) as error:
        if check.unreadable_videos is UnreadableVideos.keep:
            logger.warning("video %s is left out: %s", its[0].video_id, error)
            return None, []
        return None, [its[0].row.fault("video_id", f"{its[0].video_id}: {error}", "a video that can be read")]
    return facts, [fault for one in its for fault in _misfits(one, facts)]


def _misfits(one: _Placed, facts: VideoFacts) -> Iterator[Fault]:
    """Yield what in a detection does not fit its video."""
    if "frame_index" not in one.wrong and one.frame_index >= facts.num_frames_hint:
        last = one.first_frame + facts.num_frames_hint - 1
        yield one.row.fault("frame_index", one.row.values["frame_index"], f"{one.first_frame} to {last}")
    if "box_xyxy" not in one.wrong and clipped(one.box_px(facts), facts.size_hw) is None:
        height, width = facts.size_hw
        shown = [round(value, 3) for value in one.box_px(facts)]
        yield one.row.fault("box_xyxy", shown, f"in part inside the frame, {width}x{height} pixels")


def _video(its: list[_Placed], facts: VideoFacts) -> VideoDetections:
    detections = [
        Detection(one.frame_index, box, float(one.row.values["score"]), one.row.values["label"])
        for one in its
        if (box := clipped(one.box_px(facts), facts.size_hw)) is not None
    ]
    detections.sort(key=lambda d: (d.frame_index, -d.score, d.box_xyxy, d.label or ""))
    return VideoDetections(its[0].video_id, its[0].video_uri, facts, tuple(detections))
