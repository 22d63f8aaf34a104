"""Which frames of a run most need a look, and what to write down where a mask is wrong."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pyarrow as pa

from pipeline.errors import InputMissing
from pipeline.outputs.islands import stray_share
from pipeline.outputs.quality import QualityConfig
from pipeline.outputs.quality_table import COLUMNS, masklets_of, quality_rows
from pipeline.outputs.reader import read_masks
from pipeline.schemas import QUALITY


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
    severity: float  # the highest of the event that begins here
    reasons: tuple[str, ...]


def quality_of(run: str, video_id: str, config: QualityConfig) -> pa.Table:
    """Return the quality rows of one video's masks, by object and frame.

    Raises:
        InputMissing: There are no masks of it.
    """
    masks = read_masks(run, video_id=video_id)
    strays: dict[int, list[float]] = defaultdict(list)
    size_hw = None
    for frame in masks:
        for object_id, rle in zip(frame.object_ids, frame.rles, strict=True):
            strays[object_id].append(stray_share(rle))
            size_hw = rle.size_hw
    if size_hw is None:
        raise InputMissing(f"{run}: no masks of video {video_id!r}")
    tables = [
        quality_rows(video_id, object_id, masklet, np.array(strays[object_id]), config)
        for object_id, masklet in masklets_of(masks.to_table(COLUMNS), size_hw).items()
    ]
    return pa.concat_tables(tables)


def suggestions(quality: pa.Table, config: ReviewConfig) -> list[Suggestion]:
    """Return the frames of one video that most need a look, worst first; each has a reason, no prompt.

    What happens to an object on frames near each other is one event. Its first frame is suggested: a
    correction there mends the rest too.
    """
    rows = [row for row in quality.to_pylist() if row["severity"] >= config.min_severity and row["reasons"]]
    found = []
    for _, of_object in groupby(rows, key=lambda row: row["object_id"]):
        found += [_suggestion(event) for event in _events(list(of_object), config.min_gap_frames)]
    return sorted(found, key=lambda s: (-s.severity, s.frame_index, s.object_id))[: config.per_video]


def _events(rows: Sequence[dict], min_gap_frames: int) -> Iterator[list[dict]]:
    """Yield rows of one object, in frame order, cut where none follows for a while."""
    event: list[dict] = []
    for row in rows:
        if event and row["frame_index"] - event[-1]["frame_index"] >= min_gap_frames:
            yield event
            event = []
        event.append(row)
    if event:
        yield event


def _suggestion(event: Sequence[dict]) -> Suggestion:
    first, worst = event[0], max(event, key=lambda row: row["severity"])
    reasons = dict.fromkeys([*first["reasons"], *worst["reasons"]])
    return Suggestion(
        first["video_id"], first["object_id"], first["frame_index"], worst["severity"], tuple(reasons)
    )


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the quality rows of all videos."""
    return pa.concat_tables(tables) if tables else QUALITY.empty_table()
