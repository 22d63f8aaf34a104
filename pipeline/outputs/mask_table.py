"""MASKS -> PARQUET: one row is one object on one frame, sorted by frame and object.

A shard's masks are first written as spans of some frames each, while the work goes on, and merged
into the shard's one file at the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.outputs.rle import area_px, tight_box_xyxy
from pipeline.records import FrameMasks
from pipeline.schemas import MASKS
from pipeline.storage.files import complete_or_absent

ROW_ORDER = [("frame_index", "ascending"), ("object_id", "ascending")]


def rows_of(video_id: str, frame_masks: FrameMasks, labels: Mapping[int, str]) -> pa.RecordBatch:
    """Return one row an object, in the masks schema, by object id.

    Args:
        labels: class name by object id, for the objects that have one.
    """
    count = len(frame_masks.object_ids)
    rles = frame_masks.rles
    columns = {
        "video_id": [video_id] * count,
        "object_id": frame_masks.object_ids,
        "frame_index": [frame_masks.frame_index] * count,
        "time_seconds": [frame_masks.time_seconds] * count,
        "rle": [{"size": rle.size_hw, "counts": rle.counts} for rle in rles],
        "area_px": [area_px(rle) for rle in rles],
        "box_xyxy": [tight_box_xyxy(rle) for rle in rles],
        "object_score": frame_masks.object_scores,
        "iou_score": frame_masks.iou_scores,
        "prompted": frame_masks.prompted,
        "label": [labels.get(object_id) for object_id in frame_masks.object_ids],
        "stability_score": pa.array(frame_masks.stability_scores, pa.float32(), from_pandas=True),
    }
    return pa.RecordBatch.from_pydict(columns, schema=MASKS).sort_by("object_id")


def write_span(path: Path, batches: Sequence[pa.RecordBatch]) -> None:
    """Write the rows of some frames to one Parquet file, complete or not at all."""
    rows = pa.Table.from_batches(batches, schema=MASKS).sort_by(ROW_ORDER)
    with complete_or_absent(path) as partial:
        pq.write_table(rows, partial, compression="zstd")


def merge_spans(spans: Sequence[Path], out: Path, metadata: Mapping[str, str]) -> int:
    """Write spans, given in frame order, to one Parquet file: complete or absent, a row group a span.

    One span is in memory at a time. The same spans and metadata give the same bytes.

    Args:
        metadata: added to the file's schema metadata, beside `schema_version`.

    Returns:
        The number of rows.

    Raises:
        StorageError: a span begins before the one before it ends.
    """
    schema = MASKS.with_metadata({**MASKS.metadata, **dict(sorted(metadata.items()))})
    rows = 0
    with complete_or_absent(out) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for span in _in_frame_order(spans):
            writer.write_table(span.replace_schema_metadata(schema.metadata))
            rows += span.num_rows
    return rows


def _in_frame_order(spans: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the spans that have rows; an overlap would publish rows twice."""
    last_frame = -1
    for path in spans:
        with pq.ParquetFile(path) as file:
            span = file.read()
        if not span.num_rows:
            continue
        first_frame = span["frame_index"][0].as_py()
        if first_frame <= last_frame:
            raise StorageError(
                f"{path}: begins at frame {first_frame}, but the spans before it end at {last_frame}; "
                "expected spans in frame order that do not overlap"
            )
        last_frame = span["frame_index"][-1].as_py()
        yield span
