"""Which frames of a run most need a look, and what to write down where a mask is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import InputMissing
from pipeline.outputs.islands import stray_share
from pipeline.outputs.quality import Comparison, QualityConfig
from pipeline.outputs.quality_table import masklets_of, quality_rows
from pipeline.outputs.reader import PART, read_masks
from pipeline.records import Rle
from pipeline.schemas import QUALITY

ROWS_A_PART = 5000  # that are measured at a time
MEASURED = QUALITY.append(PART.field("is_backward"))


@dataclass
class ReviewConfig:
    """How much is suggested."""

    per_video: int = 5  # frames
    min_severity: float = 1.0  # of what is suggested
    min_gap_frames: int = 10  # of one object, between two suggestions: nearer ones are one event
    quality: QualityConfig = field(default_factory=QualityConfig)

    def __post_init__(self):
        for name in ("per_video", "min_gap_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")


@dataclass(frozen=True)
class Suggestion:
    """A frame on which one object's mask should be looked at."""

    video_id: str
    object_id: int
    frame_index: int
    severity: float  # the highest of the event that tracking came to here
    reasons: tuple[str, ...]


@dataclass
class Event:
    """What happens to an object, in one direction, on frames near each other; rows of `MEASURED`."""

    first: dict[str, Any]
    last: dict[str, Any]
    worst: dict[str, Any]

    def goes_on(self, row: dict[str, Any], min_gap_frames: int) -> bool:
        """Say whether a later row is near enough to be part of it."""
        is_near = row["frame_index"] - self.last["frame_index"] < min_gap_frames
        return is_near and row["is_backward"] == self.last["is_backward"]

    def add(self, row: dict[str, Any]) -> None:
        self.last = row
        if row["severity"] > self.worst["severity"]:
            self.worst = row

    @property
    def origin(self) -> dict[str, Any]:
        """The row that tracking came to first."""
        return self.last if self.last["is_backward"] else self.first


def quality_of(
    run: str, video_id: str, config: QualityConfig, rows_a_part: int = ROWS_A_PART
) -> Iterator[pa.Table]:
    """Yield rows of `MEASURED`, of one video's masks, part by part in the order of the frames.

    A part is ordered by object, then frame. However the rows are cut into parts, they say the same.

    Raises:
        InputMissing: There are no masks of it.
    """
    comparison, is_there = Comparison(config), False
    for rows in read_masks(run, video_id=video_id).parts(rows_a_part):
        is_there = True
        yield _measured(video_id, rows, comparison)
    if not is_there:
        raise InputMissing(f"{run}: no masks of video {video_id!r}")


def _measured(video_id: str, rows: pa.Table, comparison: Comparison) -> pa.Table:
    rles = [Rle(tuple(rle["size"]), rle["counts"]) for rle in rows["rle"].to_pylist()]
    strays, object_ids = np.array([stray_share(rle) for rle in rles]), rows["object_id"].to_numpy()
    is_backward, tables = rows["is_backward"].to_numpy(), []
    for object_id, masklet in masklets_of(rows, rles[0].size_hw).items():
        own = object_ids == object_id
        measured = quality_rows(video_id, object_id, masklet, strays[own], comparison)
        tables.append(measured.append_column(MEASURED.field("is_backward"), [is_backward[own]]))
    return pa.concat_tables(tables)


def suggestions(quality: Iterable[pa.Table], config: ReviewConfig) -> list[Suggestion]:
    """Return the frames of one video that most need a look, worst first; each has a reason, no prompt.

    What happens to an object on frames near each other is one event. The frame that tracking came to first
    is suggested, on the way back the last: a correction there mends the rest too.

    Args:
        quality: The video's rows of `MEASURED`, in parts; each object's in the order of frames.
    """
    found = map(_suggestion, _events(_severe(quality, config.min_severity), config.min_gap_frames))
    return sorted(found, key=lambda s: (-s.severity, s.frame_index, s.object_id))[: config.per_video]


def _severe(quality: Iterable[pa.Table], min_severity: float) -> Iterator[dict[str, Any]]:
    for part in quality:
        severity = part["severity"].to_numpy()
        yield from part.filter((severity >= min_severity) & (severity > 0)).to_pylist()


def _events(rows: Iterable[dict[str, Any]], min_gap_frames: int) -> Iterator[Event]:
    """Yield the events of all objects; one ends where no row follows for a while."""
    latest: dict[int, Event] = {}  # by object id
    for row in rows:
        event = latest.get(row["object_id"])
        if event is not None and event.goes_on(row, min_gap_frames):
            event.add(row)
            continue
        if event is not None:
            yield event
        latest[row["object_id"]] = Event(row, row, row)
    yield from latest.values()


def _suggestion(event: Event) -> Suggestion:
    origin, worst = event.origin, event.worst
    reasons = dict.fromkeys([*origin["reasons"], *worst["reasons"]])
    return Suggestion(
        video_id=origin["video_id"],
        object_id=origin["object_id"],
        frame_index=origin["frame_index"],
        severity=worst["severity"],
        reasons=tuple(reasons),
    )
