"""Suggestions are spread over events, worst first."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.outputs.quality_table import drift_flags
from pipeline.schemas import MASKS
from pipeline.stages.review import MEASURED, QualityConfig, ReviewConfig, quality_of, suggestions
from tests.outputs.tables import frame_masks, write_masks


def quality(way_back=0, **severities_by_object):
    """Return rows of objects `o1`, `o2` with these severities, a frame each; some first are of a way back."""
    rows = [
        {
            "video_id": "v",
            "object_id": int(name[1:]),
            "frame_index": t,
            "severity": severity,
            "reasons": ["moved"] if severity else [],
            "object_score": 1.0,
            "iou_score": 1.0,
            "at_edge": False,
            "is_backward": t < way_back,
        }
        for name, severities in severities_by_object.items()
        for t, severity in enumerate(severities)
    ]
    return pa.Table.from_pylist(rows, schema=MEASURED)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param(quality(o1=[0, 0, 0.4]), [], id="nothing bad enough"),
        pytest.param(quality(o1=[0, 0.6, 2, 0.7, 0]), [(1, 1)], id="the first frame of an event"),
        pytest.param(quality(o1=[1, 0, 0, 0, 2]), [(1, 4), (1, 0)], id="two events, the worse first"),
        pytest.param(quality(o1=[1, 0, 0, 2]), [(1, 0)], id="near each other they are one"),
        pytest.param(quality(3, o1=[0.6, 2, 0.7]), [(1, 2)], id="the last frame on the way back"),
        pytest.param(quality(2, o1=[1, 2, 3, 1]), [(1, 2), (1, 1)], id="each way has events of its own"),
        pytest.param(quality(o1=[1], o2=[3]), [(2, 0), (1, 0)], id="objects have events of their own"),
        pytest.param(quality(o1=[1], o2=[3], o3=[2]), [(2, 0), (3, 0)], id="no more than asked for"),
    ],
)
def test_frames_are_suggested_once_an_event_worst_first(table, expected):
    config = ReviewConfig(per_video=2, min_gap_frames=4, min_severity=0.5)
    assert [(s.object_id, s.frame_index) for s in suggestions([table], config)] == expected


def block(side, left=20):
    mask = np.zeros((64, 96), bool)
    mask[10 : 10 + side, left : left + side] = True
    return mask


@pytest.fixture
def run(tmp_path):
    """Two objects over 8 frames: the first doubles its sides on frame 5, the second stays."""
    frames = [frame_masks(t, {1: block(8 if t < 5 else 16), 2: block(8, 50)}) for t in range(8)]
    write_masks(tmp_path, "v", frames)
    return tmp_path


def quality_in(run, **settings):
    """Return all quality rows of the run, by frame and object."""
    rows = [
        row for part in quality_of(str(run), "v", QualityConfig(), **settings) for row in part.to_pylist()
    ]
    return sorted(rows, key=lambda row: (row["frame_index"], row["object_id"]))


def test_the_rows_of_a_run_say_when_an_object_changed(run):
    rows = quality_in(run)
    assert len(rows) == 16
    flagged = {(r["object_id"], r["frame_index"]) for r in rows if "area_jump" in r["reasons"]}
    assert (1, 5) in flagged
    assert all(object_id == 1 and t >= 5 for object_id, t in flagged)


def test_a_published_table_is_flagged_without_decoding_a_mask(run):
    (table,) = run.glob("masks/v/*.parquet")
    assert "drift:area_jump" in drift_flags(table, QualityConfig())


def test_rows_of_a_way_back_are_known_by_their_file(tmp_path):
    """The mask changes at frame 7 on the way forward, and between 4 and 3 on the way back, from 6 down."""
    sides = [8, 8, 8, 8, 16, 16, 16, 8, 8, 8]
    for frames, direction in ((range(6), "backward"), (range(6, 10), "forward")):
        masks = [frame_masks(t, {1: block(sides[t])}, [1] * (t == 6)) for t in frames]
        path = write_masks(tmp_path, "v", masks, shard_id=f"v~{direction}")
        schema = MASKS.with_metadata({"direction": direction})
        pq.write_table(pq.read_table(path, partitioning=None).cast(schema), path)
    config = ReviewConfig(min_severity=0.1)
    found = {s.frame_index for s in suggestions(quality_of(str(tmp_path), "v", config.quality), config)}
    assert found == {7, 5}


@pytest.fixture
def restless(tmp_path):
    """Three objects over 40 frames that jump, leave and come back; one comes late, one is never seen."""
    random = np.random.default_rng(3)
    sides = random.choice([0, 6, 7, 8, 20], size=(40, 3), p=[0.3, 0.2, 0.2, 0.2, 0.1])
    frames = []
    for t in range(40):
        masks = {1: block(sides[t, 0]), 2: block(sides[t, 1], 40), 3: block(0)}
        frames.append(frame_masks(t, {i: mask for i, mask in masks.items() if i != 2 or t > 12}))
    write_masks(tmp_path, "v", frames)
    return tmp_path


@pytest.mark.parametrize("rows_a_part", [1, 7, 30])
def test_quality_is_the_same_however_the_rows_are_cut(restless, rows_a_part):
    whole = quality_in(restless)
    assert {"area_jump", "lost", "moved"} <= {reason for row in whole for reason in row["reasons"]}
    assert quality_in(restless, rows_a_part=rows_a_part) == whole


@pytest.mark.parametrize("rows_a_group", [1, 5, 40])
def test_flags_are_the_same_however_the_rows_are_grouped(restless, tmp_path, rows_a_group):
    (table,) = restless.glob("masks/v/*.parquet")
    grouped = tmp_path / "grouped.parquet"
    pq.write_table(pq.read_table(table, partitioning=None), grouped, row_group_size=rows_a_group)
    flags = drift_flags(table, QualityConfig())
    assert "drift:lost" in flags
    assert drift_flags(grouped, QualityConfig()) == flags


def test_an_empty_table_has_no_flags(tmp_path):
    path = write_masks(tmp_path, "v", [])
    assert drift_flags(path, QualityConfig()) == []
