import subprocess
import sys

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import read_masks
from pipeline.errors import InputMissing
from pipeline.outputs.mask_table import merge_spans
from tests.conftest import REPOSITORY
from tests.outputs.tables import frame_masks, square, write_masks

EMPTY = np.zeros((12, 16), bool)


@pytest.fixture
def run(tmp_path):
    """Two videos: `00012` with objects 1 and 2 on frames 0 to 9, `a/b` with object 5 on frames 0 to 2."""
    frames = [
        frame_masks(i, {1: square(i), 2: square(i + 3)}, prompted=[1] if i == 0 else []) for i in range(10)
    ]
    write_masks(tmp_path, "00012", frames, {1: "bottle"})
    write_masks(tmp_path, "a/b", [frame_masks(i, {5: square(i)}) for i in range(3)])
    return tmp_path


def keys(masks):
    return [(f.video_id, f.frame_index, f.object_ids) for f in masks]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(
            {},
            [("00012", i, (1, 2)) for i in range(10)] + [("a/b", i, (5,)) for i in range(3)],
            id="all, video by video",
        ),
        pytest.param({"video_id": "a/b"}, [("a/b", i, (5,)) for i in range(3)], id="a video"),
        pytest.param(
            {"video_id": "00012", "object_ids": [2]}, [("00012", i, (2,)) for i in range(10)], id="an object"
        ),
        pytest.param(
            {"video_id": "00012", "frames": (8, 99)},
            [("00012", i, (1, 2)) for i in (8, 9)],
            id="frames to the end",
        ),
        pytest.param({"frames": range(2, 3)}, [("00012", 2, (1, 2)), ("a/b", 2, (5,))], id="half-open"),
        pytest.param({"object_ids": []}, [], id="no objects"),
        pytest.param({"object_ids": [5], "video_id": "00012"}, [], id="an object of another video"),
    ],
)
def test_what_is_asked_for_is_read_in_order(run, wanted, found):
    assert keys(read_masks(run, **wanted)) == found


def test_a_frame_comes_back_as_it_was_written(run):
    frame = next(iter(read_masks(run, video_id="00012")))

    assert np.array_equal(frame.masks, [square(0), square(3)])
    assert frame.object_scores.tolist() == [10, 20]
    assert frame.iou_scores == pytest.approx([0.1, 0.2])
    assert frame.prompted.tolist() == [True, False]
    assert frame.labels == ("bottle", None)
    assert frame.boxes_xyxy == ((0, 4, 3, 7), (3, 4, 6, 7))


def test_the_shards_of_a_video_are_joined_frame_by_frame(tmp_path):
    late = [frame_masks(i, {1: square(i)}) for i in range(2, 5)]
    write_masks(tmp_path, "belt", late, shard_id="belt~b")
    write_masks(tmp_path, "belt", [frame_masks(i, {2: square(i)}) for i in range(4)], shard_id="belt~a")

    expected = [(0, (2,)), (1, (2,)), (2, (1, 2)), (3, (1, 2)), (4, (1,))]
    assert [key[1:] for key in keys(read_masks(tmp_path))] == expected
    rows = read_masks(tmp_path).to_table().select(["frame_index", "object_id"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(f, o) for f, objects in expected for o in objects]


def test_a_run_on_any_store_is_read_by_its_uri(run):
    fs = fsspec.filesystem("memory")
    fs.put(str(run / "masks"), "/run/masks", recursive=True)

    assert keys(read_masks("memory://run")) == keys(read_masks(run))
    assert keys(read_masks("memory://run", video_id="a/b")) == keys(read_masks(run, video_id="a/b"))
    assert read_masks("memory://run").to_table().equals(read_masks(run).to_table())


def test_the_table_holds_the_rows_as_they_are_stored(run):
    table = read_masks(run, video_id="a/b").to_table()
    assert table.equals(pq.read_table(run / "masks" / "a%2Fb" / "a%2Fb.parquet"))


def test_many_row_groups_are_read_in_order(tmp_path):
    spans = [write_masks(tmp_path / str(s), "x", [frame_masks(s, {1: square(s)})]) for s in range(40)]
    merge_spans(spans, tmp_path / "masks" / "x" / "x.parquet", {})

    assert [frame.frame_index for frame in read_masks(tmp_path, frames=(5, 40))] == list(range(5, 40))


@pytest.mark.parametrize("video_id", [None, "another"])
def test_missing_masks_are_named(tmp_path, video_id):
    with pytest.raises(InputMissing, match=video_id or "any video"):
        read_masks(tmp_path, video_id=video_id)


def test_a_stepped_range_is_refused(run):
    with pytest.raises(ValueError, match="step 1"):
        read_masks(run, frames=range(0, 10, 2))


def test_detections_are_the_objects_that_are_seen(tmp_path):
    frame = frame_masks(0, {1: square(0), 2: EMPTY, 7: square(2)})
    write_masks(tmp_path, "belt", [frame], {7: "bottle"})
    detections = next(iter(read_masks(tmp_path))).to_detections()

    assert detections.tracker_id.tolist() == [1, 7]
    assert detections.xyxy.tolist() == [[0, 4, 3, 7], [2, 4, 5, 7]]
    assert detections.confidence == pytest.approx([0.1, 0.7])
    assert detections.data["class_name"].tolist() == ["", "bottle"]
    assert np.array_equal(detections.mask, [square(0), square(2)])


def test_detections_of_a_frame_where_nothing_is_seen_are_empty(tmp_path):
    write_masks(tmp_path, "belt", [frame_masks(0, {1: EMPTY})])
    detections = next(iter(read_masks(tmp_path))).to_detections()

    assert len(detections) == 0
    assert detections.mask.shape == (0, 12, 16)


def test_the_first_rows_come_in_order_and_no_thread_outlives_them(run):
    program = f"from pipeline import read_masks; print(read_masks({str(run)!r}).head(3)['frame_index'])"
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
    rows = read_masks(run).head(3).to_pylist()
    assert [(row["frame_index"], row["object_id"]) for row in rows] == [(0, 1), (0, 2), (1, 1)]


def test_tables_of_the_first_version_are_read_as_before(run):
    """They have no column for stability."""
    for file in run.glob("masks/*/*.parquet"):
        table = pq.read_table(file, partitioning=None).drop_columns(["stability_score"])
        pq.write_table(table, file)
    assert len(keys(read_masks(run))) == 13
    assert read_masks(run).to_table()["stability_score"].null_count == 23
