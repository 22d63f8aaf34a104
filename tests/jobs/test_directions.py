"""Both directions from the command line: one table, and what is done of one direction is not done again."""

import pyarrow.parquet as pq

from tests.clips import box, moving_shapes, write_manifest, write_video
from tests.jobs.conftest import masks_in, run_job, segment

FRAMES = 20
DISC_AT_12 = [30.0, 26.0, 56.0, 52.0]


def test_going_back_as_well_adds_the_frames_before_and_computes_no_other_again(tmp_path):
    write_video(tmp_path / "late.mp4", moving_shapes(FRAMES))
    write_manifest(tmp_path / "prompts.parquet", [box("late", 1, 12, DISC_AT_12)])
    run = tmp_path / "run"
    assert run_job("segment", *segment(tmp_path, run))[0] == 0
    forward = masks_in(run)

    code, output = run_job("segment", *segment(tmp_path, run, "tracking.direction=both"))

    assert code == 0, output
    assert "2 shards: 1 done before" in output
    both = masks_in(run)
    assert forward.items() <= both.items()
    rows = [row for rows in both.values() for row in rows]
    assert sorted(row["frame_index"] for row in rows) == list(range(FRAMES))
    (video,) = pq.read_table(run / "videos.parquet").to_pylist()
    assert (video["frames"], video["status"]) == (FRAMES, "done")


def test_an_object_is_sought_in_the_videos_of_other_cameras(tmp_path):
    for name, start in (("one", 0), ("two", 4), ("three", 8)):
        write_video(tmp_path / f"{name}.mp4", list(moving_shapes(FRAMES))[start:])
    seen = [{**box(name, 7), "prompt_video_uri": "one.mp4"} for name in ("two", "three")]
    write_manifest(tmp_path / "prompts.parquet", [box("one", 7), *seen])
    run = tmp_path / "run"

    code, output = run_job("segment", *segment(tmp_path, run))

    assert code == 0, output
    found = {name.split("/")[1]: rows for name, rows in masks_in(run).items()}
    assert {name: len(rows) for name, rows in found.items()} == {"one": 20, "two": 16, "three": 12}
    assert all(rows[0]["area_px"] > 0 and rows[0]["object_id"] == 7 for rows in found.values())


def test_another_file_behind_a_reference_is_another_prompt(tmp_path):
    for name in ("one", "two"):
        write_video(tmp_path / f"{name}.mp4", moving_shapes(6))
    write_manifest(tmp_path / "prompts.parquet", [{**box("two"), "prompt_video_uri": "one.mp4"}])
    run = tmp_path / "run"
    assert run_job("segment", *segment(tmp_path, run))[0] == 0
    write_video(tmp_path / "one.mp4", list(moving_shapes(9))[3:])

    code, output = run_job("segment", *segment(tmp_path, run))

    assert code == 1
    assert "shard two: reference." in output
