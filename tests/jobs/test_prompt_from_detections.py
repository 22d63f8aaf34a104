"""A video to boxes, to prompts, to a run, and to corrections where masks and boxes part."""

import runpy
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import edge
from pipeline.inputs.detection import Detection
from tests.clips import DISC_BOX, SQUARE_BOX, moving_shapes, write_video
from tests.inputs.detection_files import row_of, write_detections
from tests.jobs.conftest import masks_in, run_job, segment
from tests.test_conf import composed

FRAMES = 16


def moved(box, by):
    return (box[0] + by, box[1], box[2] + by, box[3])


def truth(frames):
    """Yield where the disc and the square are."""
    for t in frames:
        yield Detection(t, moved(DISC_BOX, t), 0.9, "disc")
        yield Detection(t, moved(SQUARE_BOX, -t), 0.8, "square")


@pytest.fixture
def shapes(tmp_path):
    """A folder with a video of a disc and a square; the detector's surest box of the disc is of nothing."""
    write_video(tmp_path / "shapes.mp4", moving_shapes(FRAMES))
    nothing = Detection(0, (4.0, 60.0, 30.0, 90.0), 0.99, "disc")
    square = [one for one in truth(range(1)) if one.label == "square"]
    rows = [row_of(one, "shapes") for one in (nothing, *square, *truth(range(1, FRAMES)))]
    write_detections(tmp_path / "boxes.parquet", rows)
    return tmp_path


def run_here(job, *arguments):
    """Run a job in this process, as its command does."""
    handed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "run_job", lambda name, schema, main: handed.update(schema=schema, main=main))
        runpy.run_module(f"jobs.{job}", run_name="__main__")
    assert handed["main"](edge.to_dataclass(composed(job, *arguments), handed["schema"])) == 0


def from_detections(folder: Path, *more):
    boxes, videos = f"detections={folder}/boxes.parquet", f"videos={folder}/*.mp4"
    anywhere = "bytetrack.min_iou=0.0"  # ByteTrack takes nothing and the disc for one object
    return (boxes, videos, f"out={folder}/prompts.parquet", anywhere, *more)


def prompts(folder):
    return pq.read_table(folder / "prompts.parquet").to_pylist()


def of_object(object_id, rows):
    return [row for row in rows if row["object_id"] == object_id]


def test_where_masks_and_detector_part_its_boxes_go_straight_back_into_the_run(shapes):
    run = shapes / "run"
    run_here("prompt_from_detections", *from_detections(shapes))
    assert [(p["object_id"], p["label"], p["frame_index"]) for p in prompts(shapes)] == [
        (1, "disc", 0),
        (2, "square", 0),
    ]
    assert {p["video_uri"] for p in prompts(shapes)} == {"shapes.mp4"}
    run_here("segment", *segment(shapes, run))
    [before] = masks_in(run).values()
    first_round = prompts(shapes)

    run_here("prompt_from_detections", *from_detections(shapes, f"run={run}"))

    assert prompts(shapes)[:-1] == first_round
    correction = {"object_id": 1, "frame_index": 1, "label": "disc", "kind": "correction"}
    assert prompts(shapes)[-1].items() >= (correction | {"box_xyxy": list(moved(DISC_BOX, 1))}).items()
    run_here("segment", *segment(shapes, run, "on_change=rerun"))
    [after] = masks_in(run).values()
    assert of_object(2, after) == of_object(2, before)
    assert of_object(1, after)[0] == of_object(1, before)[0]
    assert all(a != b for a, b in zip(of_object(1, after)[1:], of_object(1, before)[1:], strict=True))

    second_round = prompts(shapes)
    run_here("prompt_from_detections", *from_detections(shapes, f"run={run}"))

    assert prompts(shapes)[: len(second_round)] == second_round


def test_without_a_detector_boxes_say_themselves_where_their_video_is(tmp_path):
    still = [next(iter(moving_shapes(1)))] * 30
    write_video(tmp_path / "shapes.mp4", [*still, *moving_shapes(40)])
    boxes, out = tmp_path / "boxes.parquet", f"out={tmp_path}/prompts.parquet"
    run_here("detect", f"videos=[{tmp_path}/*.mp4]", f"out={boxes}")

    run_here("prompt_from_detections", f"detections={boxes}", out)

    assert {p["video_uri"] for p in prompts(tmp_path)} == {"shapes.mp4"}
    assert 30 <= min(p["frame_index"] for p in prompts(tmp_path)) < 60


def test_what_is_wrong_is_said_in_one_message(shapes):
    code, output = run_job("prompt_from_detections", *from_detections(shapes, "prompts.min_score=1"))

    assert code == 1
    assert "no object in it is seen well enough to be prompted" in output
    assert "Traceback" not in output
    assert not (shapes / "prompts.parquet").exists()
