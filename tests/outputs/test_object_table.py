"""Objects, from the rows of their masks: when they are visible, and what is left when shards share one."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.outputs.object_table import Embedding, joined_rows, object_file, object_rows, read_objects
from pipeline.schemas import MASKS

SPAN = ("start_frame", "stop_frame", "start_seconds", "stop_seconds")


def masks_file(path, rows, rows_a_group=None):
    """Write rows of (object, frame, area, iou score), at 10 frames/s."""
    columns = {
        "video_id": "cam", "time_seconds": 0.0, "rle": {"size": [4, 4], "counts": b"@@"}, "box_xyxy": None,
        "object_score": 5.0, "prompted": False, "label": "cup",
    }  # fmt: skip
    table = [
        {
            **columns,
            "object_id": i,
            "frame_index": t,
            "time_seconds": t / 10,
            "area_px": area,
            "iou_score": iou,
        }
        for i, t, area, iou in rows
    ]
    pq.write_table(pa.Table.from_pylist(table, schema=MASKS), path, row_group_size=rows_a_group)
    return path


@pytest.fixture(params=[None, 4, 3], ids=["in one part", "in parts", "in parts within a frame"])
def rows(request, tmp_path):
    masks = masks_file(
        tmp_path / "masks.parquet",
        [
            *((1, 0, 6, 0.8), (2, 0, 0, 0.1)),
            *((1, 1, 8, 0.9), (2, 1, 0, 0.1)),
            *((1, 2, 0, 0.0), (2, 2, 0, 0.1)),  # gone
            *((1, 3, 1, 0.1), (2, 3, 0, 0.1)),  # the model is not sure of it
            *((1, 4, 4, 0.5), (2, 4, 0, 0.1)),
        ],
        request.param,
    )
    look = Embedding(np.array([0.6, 0.8], np.float32), [1, 4])
    return object_rows(masks, "abc", {1: look, 2: look}, "sam2")


def test_an_object_is_described_by_the_frames_that_it_is_visible_on(rows):
    first, _ = rows
    assert (first["first_frame"], first["last_frame"], first["frames_visible"]) == (0, 4, 4)
    assert (first["mean_area_px"], first["max_area_px"]) == (19 / 4, 8)
    assert first["mean_iou_score"] == pytest.approx(2.3 / 4)
    assert (first["label"], first["weights_sha256"], first["extractor"]) == ("cup", "abc", "sam2")


def test_sure_spans_leave_out_what_is_gone_or_doubtful(rows):
    spans = [[span[name] for name in SPAN] for span in rows[0]["sure_spans"]]
    assert spans == [[0, 2, 0.0, pytest.approx(0.2)], [4, 5, 0.4, pytest.approx(0.5)]]


def test_an_object_that_is_never_visible_is_a_row_without_figures(rows):
    _, unseen = rows
    assert (unseen["frames_visible"], unseen["sure_spans"]) == (0, [])
    for name in ("first_frame", "last_frame", "mean_area_px", "max_area_px", "embedding", "extractor"):
        assert unseen[name] is None


def test_what_was_written_is_read_back(rows):
    stored = read_objects(object_file(rows))
    assert stored[0]["embedding"] == pytest.approx([0.6, 0.8])
    assert {k: v for k, v in stored[0].items() if k != "embedding"} == {
        k: v for k, v in rows[0].items() if k != "embedding"
    }


def half(first, last, area, vector, frames, weights="abc"):
    """Return the row of an object that one shard tracked through some frames, all of them visible."""
    return {
        "video_id": "cam",
        "object_id": 1,
        "label": None,
        "first_frame": first,
        "last_frame": last,
        "frames_visible": last - first + 1,
        "mean_area_px": float(area),
        "max_area_px": area,
        "sure_spans": [dict(zip(SPAN, (first, last + 1, first / 10, (last + 1) / 10), strict=True))],
        "mean_object_score": 1.0,
        "mean_iou_score": 0.5,
        "extractor": "sam2",
        "weights_sha256": weights,
        "embedding": vector,
        "embedding_frames": frames,
    }


def test_an_object_of_two_shards_is_one_row_weighted_by_frames():
    (row,) = joined_rows([half(10, 39, 8, [0, 1], [11]), half(0, 9, 4, [1, 0], [0, 4, 9])])
    assert (row["first_frame"], row["last_frame"], row["frames_visible"]) == (0, 39, 40)
    assert (row["mean_area_px"], row["max_area_px"]) == (7, 8)
    assert row["embedding"] == pytest.approx(np.array([3, 1]) / 10**0.5)
    assert row["embedding_frames"] == [0, 4, 9, 11]


@pytest.mark.parametrize(
    ("start", "expected"),
    [(10, [[0, 40, 0.0, 4.0]]), (12, [[0, 10, 0.0, 1.0], [12, 40, 1.2, 4.0]])],
    ids=["one sighting", "two sightings"],
)
def test_spans_of_two_shards_that_touch_are_one(start, expected):
    (row,) = joined_rows([half(start, 39, 8, [0, 1], [12]), half(0, 9, 4, [1, 0], [0])])
    assert [[span[name] for name in SPAN] for span in row["sure_spans"]] == expected


def test_embeddings_of_two_models_are_never_mixed():
    (row,) = joined_rows(
        [half(0, 9, 4, [1, 0], [0]), half(10, 39, 8, [0, 1], [11], weights="of a smaller one")]
    )
    assert row["embedding"] == pytest.approx([1, 0])
    assert (row["embedding_frames"], row["weights_sha256"]) == ([0], "abc")


def test_a_half_that_is_never_visible_changes_nothing():
    unseen = half(0, 9, 4, None, []) | {"frames_visible": 0, "sure_spans": [], "extractor": None}
    for name in ("first_frame", "last_frame", "mean_area_px", "max_area_px", "mean_object_score"):
        unseen[name] = None
    (row,) = joined_rows([unseen, half(10, 39, 8, [0, 1], [11])])
    assert row == {**half(10, 39, 8, [0, 1], [11]), "embedding": pytest.approx([0, 1])}
    (row,) = joined_rows([unseen, unseen])
    assert (row["frames_visible"], row["first_frame"], row["embedding"]) == (0, None, None)
