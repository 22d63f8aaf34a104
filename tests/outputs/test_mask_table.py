import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import StorageError
from pipeline.outputs.mask_table import merge_spans, rows_of, write_span
from pipeline.schemas import MASKS, MASKS_VERSION
from tests.outputs.tables import frame_masks, square

EMPTY = np.zeros((12, 16), bool)


def write_frames(path, indices):
    write_span(path, [rows_of("belt", frame_masks(i, {2: EMPTY, 1: square(i)}), {}) for i in indices])
    return path


def test_a_row_says_all_there_is_to_know_of_an_object_on_a_frame():
    frame = frame_masks(3, {7: square(3)}, prompted=[7], frame_seconds=0.5)
    (row,) = rows_of("00012", frame, {7: "bottle"}).to_pylist()

    assert row.pop("rle")["size"] == [12, 16]
    assert row.pop("iou_score") == pytest.approx(0.7)
    assert row == {
        "video_id": "00012",
        "object_id": 7,
        "frame_index": 3,
        "time_seconds": 1.5,
        "area_px": 9,
        "box_xyxy": [3.0, 4.0, 6.0, 7.0],
        "object_score": 70.0,
        "prompted": True,
        "label": "bottle",
        "stability_score": 1.0,
    }


def test_an_unseen_object_has_a_row_with_an_empty_mask_and_no_box():
    (row,) = rows_of("belt", frame_masks(0, {1: EMPTY}), {}).to_pylist()
    assert (row["area_px"], row["box_xyxy"], row["label"]) == (0, None, None)


def test_a_frame_without_objects_has_no_rows():
    frame = frame_masks(0, {1: EMPTY})
    none = np.zeros(0, np.float32)
    nothing = type(frame)(0, 0.0, (), EMPTY[None][:0], none, none, none > 0, none)
    assert rows_of("belt", nothing, {}).num_rows == 0


def test_rows_are_sorted_by_frame_and_object(tmp_path):
    rows = pq.read_table(write_frames(tmp_path / "span.parquet", [5, 4])).to_pylist()
    assert [(row["frame_index"], row["object_id"]) for row in rows] == [(4, 1), (4, 2), (5, 1), (5, 2)]


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([range(9)], id="one span"),
        pytest.param([range(4), range(4, 8), range(8, 9)], id="several"),
        pytest.param([range(0), range(9), range(0)], id="spans without rows"),
    ],
)
def test_however_the_work_was_cut_into_spans_the_merged_rows_are_the_same(tmp_path, spans):
    paths = [write_frames(tmp_path / f"{i}.parquet", indices) for i, indices in enumerate(spans)]
    rows = merge_spans(paths, tmp_path / "merged.parquet", {})

    expected = pq.read_table(write_frames(tmp_path / "whole.parquet", range(9)))
    assert rows == 18
    assert pq.read_table(tmp_path / "merged.parquet").equals(expected)


def test_no_spans_make_a_table_without_rows(tmp_path):
    assert merge_spans([], tmp_path / "merged.parquet", {}) == 0
    assert pq.read_table(tmp_path / "merged.parquet").schema.equals(MASKS)


def test_the_file_says_where_its_masks_come_from(tmp_path):
    span = write_frames(tmp_path / "0.parquet", range(2))
    merge_spans([span], tmp_path / "merged.parquet", {"shard": "belt", "model": "nano"})

    metadata = pq.read_schema(tmp_path / "merged.parquet").metadata
    assert metadata[b"schema_version"].decode() == MASKS_VERSION
    assert (metadata[b"shard"], metadata[b"model"]) == (b"belt", b"nano")


def test_merging_twice_gives_the_same_bytes(tmp_path):
    spans = [write_frames(tmp_path / f"{i}.parquet", [i]) for i in range(3)]
    merge_spans(spans, tmp_path / "a.parquet", {"model": "nano", "shard": "belt"})
    merge_spans(spans, tmp_path / "b.parquet", {"shard": "belt", "model": "nano"})

    a, b = ((tmp_path / name).read_bytes() for name in ("a.parquet", "b.parquet"))
    assert hashlib.sha256(a).digest() == hashlib.sha256(b).digest()


def test_a_row_group_is_a_span_so_that_readers_can_skip_by_frame(tmp_path):
    spans = [write_frames(tmp_path / f"{i}.parquet", range(10 * i, 10 * i + 10)) for i in range(3)]
    merge_spans(spans, tmp_path / "merged.parquet", {})

    groups = pq.ParquetFile(tmp_path / "merged.parquet").metadata
    column = groups.schema.names.index("frame_index")
    ranges = [groups.row_group(i).column(column).statistics for i in range(groups.num_row_groups)]
    assert [(r.min, r.max) for r in ranges] == [(0, 9), (10, 19), (20, 29)]


def test_spans_that_overlap_are_refused_and_nothing_is_written(tmp_path):
    spans = [write_frames(tmp_path / f"{i}.parquet", r) for i, r in enumerate([range(5), range(4, 8)])]
    with pytest.raises(StorageError, match="begins at frame 4, but the spans before it end at 4"):
        merge_spans(spans, tmp_path / "merged.parquet", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.parquet", "1.parquet"]


def test_a_mask_that_no_logit_is_near_has_no_stability():
    frame = frame_masks(0, {1: EMPTY})
    frame.stability_scores[:] = np.nan
    assert rows_of("belt", frame, {})["stability_score"].to_pylist() == [None]
