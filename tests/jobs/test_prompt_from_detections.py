"""Boxes in, masks out: detections to prompts, a run, and corrections where the run parts from the boxes."""

import pyarrow.parquet as pq

from pipeline.inputs.detection import Detection
from pipeline.inputs.detections import write_detections
from tests.clips import DISC_BOX, SQUARE_BOX, moving_shapes, write_video
from tests.jobs.conftest import masks_in, run_job, segment

FRAMES = 24
ELSEWHERE = (100.0, 2.0, 120.0, 18.0)  # where nothing is


def moved(box, by):
    return (box[0] + by, box[1], box[2] + by, box[3])


def boxes():
    """Yield what a detector says: from frame 14 on it sees the disc elsewhere, to see what becomes of it."""
    for t in range(FRAMES):
        yield Detection(t, moved(DISC_BOX, t) if t < 14 else moved(ELSEWHERE, t - 14), 0.9, "disc")
        yield Detection(t, moved(SQUARE_BOX, -t), 0.8, "square")


def test_from_boxes_to_masks_and_back_to_corrections(tmp_path):
    write_video(tmp_path / "shapes.mp4", moving_shapes(FRAMES))
    write_detections({"shapes": list(boxes())}, tmp_path / "boxes.parquet")
    made = [
        f"detections={tmp_path}/boxes.parquet",
        f"videos={tmp_path}/*.mp4",
        f"out={tmp_path}/prompts.parquet",
        "bytetrack.min_iou=0.0",
    ]

    code, output = run_job("prompt_from_detections", *made)
    assert code == 0, output
    rows = pq.read_table(tmp_path / "prompts.parquet").to_pylist()
    assert {row["label"] for row in rows} >= {"disc", "square"}
    assert {row["video_uri"] for row in rows} == {"shapes.mp4"}
    assert run_job("validate", f"manifest={tmp_path}/prompts.parquet")[0] == 0

    run = tmp_path / "run"
    code, output = run_job("segment", *segment(tmp_path, run))
    assert code == 0, output
    (masks,) = masks_in(run).values()
    discs = {row["object_id"] for row in masks if row["label"] == "disc"}

    code, output = run_job("prompt_from_detections", *made, f"run={run}")
    assert code == 0, output
    corrections = [r for r in pq.read_table(tmp_path / "prompts.parquet").to_pylist() if r["kind"]]
    assert {row["object_id"] for row in corrections} <= discs
    assert all(row["frame_index"] >= 14 for row in corrections)
    assert corrections
    assert run_job("segment", *segment(tmp_path, run, "on_change=rerun"))[0] == 0
    assert list(masks_in(run).values()) != [masks]


def test_what_is_wrong_is_said(tmp_path):
    write_detections({"none": [Detection(0, (1, 2, 3, 4), 0.5)]}, tmp_path / "boxes.parquet")
    given = [f"detections={tmp_path}/boxes.parquet", f"out={tmp_path}/prompts.parquet"]
    code, output = run_job("prompt_from_detections", *given, f"videos={tmp_path}/*.mp4")
    assert (code, "found none; allowed: a video that can be read" in output) == (1, True)
    code, output = run_job("prompt_from_detections", *given, "videos=here.mp4")
    assert (code, "expected * in it" in output) == (1, True)
