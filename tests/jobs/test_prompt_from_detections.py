"""Boxes in, masks out: detections to prompts, a run, and corrections where the run and the detector part."""

import pyarrow.parquet as pq
import pytest

from pipeline.inputs.detection import Detection
from tests.clips import DISC_BOX, SQUARE_BOX, moving_shapes, write_video
from tests.conftest import REPOSITORY
from tests.inputs.detection_files import row_of, write_detections
from tests.jobs.conftest import masks_in, run_job, segment

CLIPS = REPOSITORY / "pipeline" / "bundled" / "clips"
FRAMES = 24


def moved(box, by):
    return (box[0] + by, box[1], box[2] + by, box[3])


def truth(frames=range(FRAMES)):
    """Return where the disc and the square are."""
    discs = [Detection(t, moved(DISC_BOX, t), 0.9, "disc") for t in frames]
    return [*discs, *(Detection(t, moved(SQUARE_BOX, -t), 0.8, "square") for t in frames)]


@pytest.fixture
def shapes(tmp_path):
    """A folder with a video of a disc and a square, and detections of both."""
    write_video(tmp_path / "shapes.mp4", moving_shapes(FRAMES))
    write_detections(tmp_path / "boxes.parquet", [row_of(d, "shapes") for d in truth()])
    return tmp_path


def from_detections(folder, *more):
    detections, videos = f"detections={folder}/boxes.parquet", f"videos={folder}/*.mp4"
    return run_job("prompt_from_detections", detections, videos, f"out={folder}/prompts.parquet", *more)


def prompts(folder):
    return pq.read_table(folder / "prompts.parquet").to_pylist()


def test_boxes_become_a_manifest_that_validates(shapes):
    code, output = from_detections(shapes, "prompts.every_frames=10")

    assert (code, output) == (0, f"{shapes}/prompts.parquet: 6 key frames of 2 objects in 1 videos\n")
    found = [(p["object_id"], p["frame_index"], p["label"]) for p in prompts(shapes)]
    assert found == [(i, t, label) for i, label in ((1, "disc"), (2, "square")) for t in (0, 10, 20)]
    assert prompts(shapes)[0]["box_xyxy"] == DISC_BOX
    assert run_job("validate", f"manifest={shapes}/prompts.parquet")[0] == 0


def test_where_masks_and_detector_part_its_boxes_go_straight_back_into_the_run(shapes):
    """The detector's surest box of the disc, its first one, is of nothing: so its prompt is."""
    nothing = Detection(0, (4.0, 60.0, 30.0, 90.0), 0.99, "disc")
    rows = [row_of(d, "shapes") for d in (nothing, *truth(range(1, FRAMES)))]
    write_detections(shapes / "boxes.parquet", rows)
    anywhere = "bytetrack.min_iou=0.0"  # ByteTrack takes the two for one object
    run, given = shapes / "run", f"manifest={shapes}/prompts.parquet"
    assert from_detections(shapes, anywhere)[0] == 0
    assert run_job("segment", *segment(shapes, run))[0] == 0
    [before] = masks_in(run).values()

    said = f"{shapes}/prompts.parquet: 2 prompts as they were and 1 more\n"
    assert from_detections(shapes, anywhere, f"run={run}", given) == (0, said)

    correction = {"object_id": 1, "frame_index": 1, "label": "disc", "kind": "correction"}
    assert prompts(shapes)[-1].items() >= (correction | {"box_xyxy": list(moved(DISC_BOX, 1))}).items()
    assert run_job("validate", given)[0] == 0
    assert run_job("segment", *segment(shapes, run, "on_change=rerun"))[0] == 0
    [after] = masks_in(run).values()
    assert of_object(2, after) == of_object(2, before)
    assert of_object(1, after)[0] == of_object(1, before)[0]
    assert all(a != b for a, b in zip(of_object(1, after)[1:], of_object(1, before)[1:], strict=True))
    assert [row["prompted"] for row in of_object(1, after)[:3]] == [True, True, False]


def of_object(object_id, rows):
    return [row for row in rows if row["object_id"] == object_id]


def test_from_a_real_video_to_masks_without_a_detector(tmp_path):
    clip = f"videos=[{CLIPS}/bottles.mp4]"
    code, output = run_job("detect", clip, f"out={tmp_path}/boxes.parquet")
    assert code == 0, output
    made = f"detections={tmp_path}/boxes.parquet", f"out={tmp_path}/prompts.parquet"

    code, output = run_job("prompt_from_detections", *made, "bytetrack.min_detections=15")

    assert code == 0, output
    assert len(prompts(tmp_path)) >= 1
    assert {p["video_id"] for p in prompts(tmp_path)} == {"bottles"}
    assert run_job("validate", f"manifest={tmp_path}/prompts.parquet")[0] == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(["run=out/x"], "give run=OUT and manifest=URI", id="a run without its prompts"),
        pytest.param(["prompts.min_score=0.95"], "no object in it is seen well enough", id="nothing is good"),
        pytest.param(["check.max_objects=1"], "video 'shapes': 2 objects, check.max_objects", id="too many"),
    ],
)
def test_what_is_wrong_is_said(more, said, shapes):
    code, output = from_detections(shapes, *more)

    assert code == 1
    assert said in output
    assert "Traceback" not in output
    assert not (shapes / "prompts.parquet").exists()


def test_a_run_without_masks_of_these_videos_is_refused(shapes, undisturbed):
    assert from_detections(shapes)[0] == 0

    code, output = from_detections(shapes, f"run={undisturbed}", f"manifest={shapes}/prompts.parquet")

    assert code == 1
    assert "no masks of any video that there are detections of, ['shapes']" in output


def test_jobs_detect_leaves_no_file_where_something_is_wrong(tmp_path):
    video = f"videos=[{CLIPS}/bottles.mp4,{tmp_path}/none.mp4]"

    code, output = run_job("detect", video, f"out={tmp_path}/boxes.parquet", "every_frames=100")

    assert code == 1
    assert "bottles: 0 detections on 3 frames" in output
    assert f"{tmp_path}/none.mp4" in output
    assert list(tmp_path.iterdir()) == []
