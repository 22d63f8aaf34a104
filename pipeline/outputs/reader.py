"""Reading a run's masks back: lazy, filtered, a frame at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import chain, groupby, islice
from operator import and_, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from pipeline.errors import InputMissing
from pipeline.outputs.rle import decode_masks
from pipeline.records import Rle
from pipeline.schemas import MASKS
from pipeline.storage.names import path_name
from pipeline.storage.uris import local_path

if TYPE_CHECKING:
    import supervision as sv

# Of parts: the masks' columns, and whether the object was tracked from a later frame back to this one.
PART = MASKS.append(pa.field("is_backward", pa.bool_(), nullable=False))
ROW_ORDER = ("video_id", "frame_index", "object_id")


def read_masks(
    run: str | Path,
    video_id: str | None = None,
    object_ids: Iterable[int] | None = None,
    frames: range | tuple[int, int] | None = None,
) -> MaskTable:
    """Return the masks of a run, or the part of them that is asked for. Nothing is read yet.

    Args:
        run: the run folder, a path or an fsspec URI.
        video_id: all videos by default.
        object_ids: all objects by default.
        frames: frame indices [start, stop), all frames by default.

    Raises:
        InputMissing: there are no masks there.

    >>> for frame in read_masks("out", video_id="belt", frames=(0, 100)):  # doctest: +SKIP
    ...     print(frame.frame_index, frame.object_ids, frame.masks.shape)
    """
    files, folder = fsspec.url_to_fs(
        f"{run}/masks" if video_id is None else f"{run}/masks/{path_name(video_id)}"
    )
    if not files.isdir(folder):
        wanted = "any video" if video_id is None else f"video {video_id!r}"
        raise InputMissing(f"{run}: expected masks of {wanted} in {folder}, found no such folder")
    # Where it can, Arrow reads by itself: its threads abort a Python that exits while they call it.
    on_disk = local_path(str(run)) is not None
    filesystem = LocalFileSystem() if on_disk else PyFileSystem(FSSpecHandler(files))
    dataset = ds.dataset(folder, schema=MASKS, format="parquet", filesystem=filesystem)
    return MaskTable(dataset, _row_filter(video_id, object_ids, frames))


def _row_filter(video_id, object_ids, frames) -> ds.Expression | None:
    """Return what rows must fulfil; pyarrow skips whole row groups by it."""
    wanted = []
    if video_id is not None:
        wanted.append(ds.field("video_id") == video_id)
    if object_ids is not None:
        wanted.append(ds.field("object_id").isin(list(object_ids)))
    if frames is not None:
        start, stop = _bounds(frames)
        wanted.append((ds.field("frame_index") >= start) & (ds.field("frame_index") < stop))
    return reduce(and_, wanted) if wanted else None


def _bounds(frames: range | tuple[int, int]) -> tuple[int, int]:
    if not isinstance(frames, range):
        return frames
    if frames.step != 1:
        raise ValueError(
            f"frames is {frames}, expected a range with step 1; take every nth frame while iterating"
        )
    return frames.start, frames.stop


class MaskTable:
    """Rows of the mask table that were asked for; iterate to read them frame by frame."""

    def __init__(self, dataset: ds.Dataset, row_filter: ds.Expression | None):
        self._dataset = dataset
        self._filter = row_filter

    def __iter__(self) -> Iterator[StoredFrame]:
        """Yield frames, video by video, in frame order; the shards of a video are joined.

        Memory holds one row group a shard of one video.
        """
        for rows in self._by_video():
            for _, of_one_frame in groupby(rows, key=itemgetter("video_id", "frame_index")):
                yield _frame_of(list(of_one_frame))

    def parts(self, rows: int) -> Iterator[pa.Table]:
        """Yield tables of schema `PART`, of so many rows or fewer of one video, in the order of the frames.

        Memory holds as much as while iterating.
        """
        for of_one_video in self._by_video():
            while part := list(islice(of_one_video, rows)):
                yield pa.Table.from_pylist(part, schema=PART)

    def head(self, rows: int) -> pa.Table:
        """Return some first rows."""
        # Not by the dataset's own `head`: it reads ahead in threads that abort Python when it exits.
        files = sorted(self._dataset.get_fragments(), key=lambda file: file.path)
        first = islice(chain.from_iterable(map(self._rows, files)), rows)
        return pa.Table.from_pylist(list(first), schema=MASKS)

    def to_table(self, columns: Sequence[str] = ()) -> pa.Table:
        """Return the rows as one Arrow table, by video, frame and object.

        Args:
            columns: Only these; all by default.
        """
        wanted = list(dict.fromkeys([*ROW_ORDER, *columns])) if columns else None
        table = self._dataset.to_table(columns=wanted, filter=self._filter)
        return table.sort_by([(column, "ascending") for column in ROW_ORDER])

    def _by_video(self) -> Iterator[Iterator[dict[str, Any]]]:
        files = sorted(self._dataset.get_fragments(), key=lambda file: file.path)
        for _, of_one_video in groupby(files, key=lambda file: file.path.rpartition("/")[0]):
            yield heapq.merge(*map(self._rows, of_one_video), key=itemgetter(*ROW_ORDER))

    def _rows(self, file: ds.Fragment) -> Iterator[dict[str, Any]]:
        is_backward = (file.physical_schema.metadata or {}).get(b"direction") == b"backward"
        # One row group after the other: `to_batches` would read ahead without a bound that is ours.
        for row_group in file.split_by_row_group(self._filter, schema=MASKS):
            for row in row_group.to_table(schema=MASKS, filter=self._filter).to_pylist():
                yield {**row, "is_backward": is_backward}


@dataclass(frozen=True)
class StoredFrame:
    """The stored masks of the objects on one frame."""

    video_id: str
    frame_index: int
    time_seconds: float
    object_ids: tuple[int, ...]  # ascending
    rles: tuple[Rle, ...]
    boxes_xyxy: tuple[tuple[float, ...] | None, ...]  # pixels, half-open; None where the mask is empty
    object_scores: np.ndarray  # (object,) float32 logits; above 0 the object is visible
    iou_scores: np.ndarray  # (object,) float32, the model's own estimate
    prompted: np.ndarray  # (object,) bool, a prompt was given on this frame
    labels: tuple[str | None, ...]

    @cached_property
    def masks(self) -> np.ndarray:
        """(object, height, width) bool, at the video's own size; decoded when first asked for."""
        return decode_masks(self.rles)

    def to_detections(self) -> sv.Detections:
        """Return the objects that have pixels on this frame, for use with Supervision.

        `tracker_id` is the object id, `confidence` the model's own IoU estimate (0 to 1, comparable
        between objects; the visibility logit is in `data["object_score"]`), and
        `data["class_name"]` the label, empty where there is none.
        """
        import supervision as sv  # takes a second, and most readers never need it

        seen = np.array([box is not None for box in self.boxes_xyxy])
        boxes = [box for box in self.boxes_xyxy if box is not None]
        return sv.Detections(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            mask=self.masks[seen],
            confidence=self.iou_scores[seen],
            tracker_id=np.array(self.object_ids)[seen],
            data={
                "class_name": np.array([label or "" for label in self.labels])[seen],
                "object_score": self.object_scores[seen],
            },
        )


def _frame_of(rows: list[dict[str, Any]]) -> StoredFrame:
    first = rows[0]
    return StoredFrame(
        video_id=first["video_id"],
        frame_index=first["frame_index"],
        time_seconds=first["time_seconds"],
        object_ids=tuple(row["object_id"] for row in rows),
        rles=tuple(Rle(tuple(row["rle"]["size"]), row["rle"]["counts"]) for row in rows),
        boxes_xyxy=tuple(row["box_xyxy"] and tuple(row["box_xyxy"]) for row in rows),
        object_scores=np.array([row["object_score"] for row in rows], np.float32),
        iou_scores=np.array([row["iou_score"] for row in rows], np.float32),
        prompted=np.array([row["prompted"] for row in rows], bool),
        labels=tuple(row["label"] for row in rows),
    )
