"""`python -m jobs.segment`: run, stopped anywhere, run again, and the table is the one of a plain run."""

import json
import os
import shutil
import signal

import psutil
import pyarrow.parquet as pq
import pytest

from tests.clips import SQUARE_BOX, box, moving_shapes, write_manifest, write_video
from tests.jobs.conftest import masks_in, run_job, segment, start_job, wait_for

RAY = ("runner=ray", "runner.workers=2")


def videos_in(run):
    return {row["video_id"]: row for row in pq.read_table(run / "videos.parquet").to_pylist()}


def test_a_run_leaves_the_folder_of_the_design(undisturbed):
    assert sorted(masks_in(undisturbed)) == [
        "masks/00012/00012.parquet",
        "masks/long/long.parquet",
        "masks/middle/middle.parquet",
    ]
    assert sorted(p.name for p in undisturbed.iterdir()) == [
        "_commit", "_run", "_states", "_work", "masks", "objects.parquet", "run.json", "videos.parquet",
    ]  # fmt: skip
    assert list((undisturbed / "_work").iterdir()) == []
    assert json.loads((undisturbed / "run.json").read_text())["config"]["model"]["name"] == "nano"


def test_videos_have_one_row_each(undisturbed):
    rows = videos_in(undisturbed)
    assert {i: (r["status"], r["frames"], r["objects"]) for i, r in rows.items()} == {
        "long": ("done", 45, 2),
        "middle": ("done", 25, 1),
        "00012": ("done", 12, 1),
    }
    assert all(row["frames_per_second"] > 0 for row in rows.values())


@pytest.mark.ray
def test_ray_and_the_local_loop_give_the_same_rows(dataset, undisturbed, tmp_path):
    code, output = run_job("segment", *segment(dataset, tmp_path, *RAY))
    assert code == 0, output
    assert masks_in(tmp_path) == masks_in(undisturbed)
    assert "3 of 3 shards done" in output


def test_a_further_run_computes_nothing(dataset, undisturbed, tmp_path):
    run = shutil.copytree(undisturbed, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (run / "masks").rglob("*.parquet")}
    code, output = run_job("segment", *segment(dataset, run))
    assert code == 0
    assert "3 shards: 3 done before, 0 quarantined before, 0 to do" in output
    assert before == {path: path.stat().st_mtime_ns for path in (run / "masks").rglob("*.parquet")}


def test_killed_in_the_middle_and_run_again_the_table_is_the_same(dataset, undisturbed, tmp_path):
    process = start_job("segment", *segment(dataset, tmp_path))
    wait_for(lambda: list(tmp_path.glob("_work/long/000001.001/checkpoint-000000020.json")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert masks_in(tmp_path) == {}

    code, output = run_job("segment", *segment(dataset, tmp_path))
    assert code == 0, output
    assert masks_in(tmp_path) == masks_in(undisturbed)
    # 82 frames in all have masks, of which at least 20 were safe.
    assert int(output.split(" frames have masks; ")[1].split(" computed")[0]) <= 82 - 20


@pytest.mark.ray
def test_a_worker_killed_in_the_middle_costs_no_more_than_one_interval(dataset, undisturbed, tmp_path):
    process = start_job("segment", *segment(dataset, tmp_path, "runner=ray", "runner.workers=1"))
    wait_for(lambda: list(tmp_path.glob("_work/long/000001.001/checkpoint-000000020.json")))
    started = psutil.Process(process.pid).children(recursive=True)
    (worker,) = [p for p in started if "ray::StageWorker" in p.name()]
    worker.kill()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "trying again: long after attempt 1, crash_signal" in output
    assert masks_in(tmp_path) == masks_in(undisturbed)
    assert videos_in(tmp_path)["long"]["attempts"] == 2


def test_objects_split_over_shards_get_the_same_rows(dataset, undisturbed, tmp_path):
    code, output = run_job("segment", *segment(dataset, tmp_path, "plan.objects_per_shard=1"))
    assert code == 0, output
    split = masks_in(tmp_path)
    assert "masks/long/long~objects-2-2.parquet" in split
    rows = sorted(
        (row for rows in split.values() for row in rows if row["video_id"] == "long"),
        key=lambda row: (row["frame_index"], row["object_id"]),
    )
    assert rows == masks_in(undisturbed)["masks/long/long.parquet"]


@pytest.fixture(scope="module")
def one_bad(tmp_path_factory):
    """A good video, one cut off in the middle, one that is text, and one that is not there."""
    folder = tmp_path_factory.mktemp("one-bad")
    good = write_video(folder / "good.mp4", moving_shapes(12)).read_bytes()
    (folder / "cut.mp4").write_bytes(good[: len(good) // 2])
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    write_manifest(folder / "prompts.parquet", [box(v) for v in ("good", "cut", "text", "absent")])
    return folder


CLASSES = {"cut": "decode_corrupt", "text": "decode_corrupt", "absent": "input_missing"}


def test_bad_videos_are_quarantined_with_their_class_and_the_others_go_on(one_bad, tmp_path):
    code, output = run_job("segment", *segment(one_bad, tmp_path))
    assert code == 2
    assert list(masks_in(tmp_path)) == ["masks/good/good.parquet"]
    rows = videos_in(tmp_path)
    assert {i: row["fault_class"] for i, row in rows.items() if row["status"] != "done"} == CLASSES
    assert "1 of 4 shards done, 3 quarantined" in output
    record = json.loads((tmp_path / "quarantine" / "text.json").read_text())
    assert record["attempts"] == 1
    assert "Traceback" in record["problem"]["traceback"]


def test_what_was_given_up_is_left_alone_until_it_is_mended(one_bad, tmp_path):
    dataset = shutil.copytree(one_bad, tmp_path / "data")
    run = tmp_path / "run"
    run_job("segment", *segment(dataset, run))
    _, again = run_job("segment", *segment(dataset, run))
    assert "1 done before, 3 quarantined before, 0 to do" in again

    write_video(dataset / "absent.mp4", moving_shapes(5))
    _, mended = run_job("segment", *segment(dataset, run))
    assert "1 done before, 2 quarantined before, 1 to do" in mended
    assert videos_in(run)["absent"]["status"] == "done"

    code, retried = run_job("segment", *segment(dataset, run, "retry_quarantined=true"))
    assert "2 done before, 0 quarantined before, 2 to do" in retried
    assert code == 2


def test_failures_up_to_the_allowed_fraction_are_no_failure(one_bad, tmp_path):
    code, _ = run_job("segment", *segment(one_bad, tmp_path, "retry.max_failed_fraction=0.75"))
    assert code == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param("engine.max_hole_px=3", "config.engine.max_hole_px was 8, is now 3", id="config"),
        pytest.param("plan.objects_per_shard=1", "split otherwise", id="split"),
    ],
)
def test_another_config_on_the_same_folder_is_refused_by_key(dataset, undisturbed, change, named):
    before = masks_in(undisturbed)
    code, output = run_job("segment", *segment(dataset, undisturbed, change))
    assert code == 1
    assert named in output
    assert masks_in(undisturbed) == before


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("modle=nano", "modle"),
        ("engine.precison=fp32", "precison"),
        ("engine.max_hole_px=-1", "engine.max_hole_px"),
        ("checkpoint.every_frames=none", "every_frames"),
        ("run=ftp://bucket/out", "expected a path, or a URI that begins with s3://"),
        ("runner={name:ray,address:'127.0.0.1:9'}", "127.0.0.1:9"),
        ("model.weights=nowhere.pt", "nowhere.pt: no such file"),
        ("model=sam2.9_huge", "sam2.9_huge"),
    ],
)
def test_wrong_usage_is_named_and_ends_without_a_traceback(dataset, tmp_path, argument, named):
    code, output = run_job("segment", *segment(dataset, tmp_path / "run"), argument)
    assert code in (1, 3)
    assert named in output
    assert "Traceback" not in output


SECRET = "TOPSECRET"


def test_secrets_of_uris_are_nowhere_in_the_run_folder_or_in_what_is_said(tmp_path):
    uri = f"http://me:{SECRET}@127.0.0.1:9/a.mp4?signature={SECRET}"
    row = {**box("cam"), "video_uri": uri}
    write_manifest(tmp_path / "prompts.parquet", [row])
    run = tmp_path / "run"
    code, output = run_job("segment", *segment(tmp_path, run, "retry.max_attempts=1"))
    assert code == 2, output
    assert "input_unavailable" in output
    assert SECRET not in output
    written = [path for path in run.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


ODD_IDS = ["../../outside", "/etc/x", "a/b\\c", "x" * 1000, "日本 ü", "_commit", ".hidden"]


def test_no_video_id_leads_out_of_the_run_folder(tmp_path):
    write_video(tmp_path / "a.mp4", moving_shapes(4))
    rows = [{**box("a"), "video_id": video_id, "video_uri": "a.mp4"} for video_id in ODD_IDS]
    write_manifest(tmp_path / "prompts.parquet", rows)
    before = {path for path in tmp_path.rglob("*") if "deep" not in path.parts}
    run = tmp_path / "deep" / "er" / "run"
    code, output = run_job("segment", *segment(tmp_path, run))
    assert code == 0, output
    assert {path for path in tmp_path.rglob("*") if "deep" not in path.parts} == before
    assert {p.name for p in run.parent.iterdir()} == {"run"}
    assert sorted(videos_in(run)) == sorted(ODD_IDS)
    found = sorted(tuple({row["video_id"] for row in rows}) for rows in masks_in(run).values())
    assert found == sorted((video_id,) for video_id in ODD_IDS)


def test_changed_inputs_are_computed_again_when_asked_for_and_nothing_else_is(dataset, undisturbed, tmp_path):
    data = shutil.copytree(dataset, tmp_path / "data")
    run = shutil.copytree(undisturbed, tmp_path / "run")
    rows = [box("long", 1, label="disc"), box("middle", 4), box("00012", 9, 2, SQUARE_BOX)]
    write_manifest(data / "prompts.parquet", [row for row in rows if row["video_id"] != "00012"])
    for video in ("long", "middle", "00012"):  # the copies are the videos that were segmented
        shutil.copystat(dataset / f"{video}.mp4", data / f"{video}.mp4")

    code, output = run_job("segment", *segment(data, run))
    assert code == 1
    assert "shard 00012: is not in this manifest" in output
    assert "shard middle: prompts was" in output

    code, output = run_job("segment", *segment(data, run, "on_change=rerun"))
    assert code == 0, output
    assert sorted(masks_in(run)) == ["masks/long/long.parquet", "masks/middle/middle.parquet"]
    assert {row["object_id"] for row in masks_in(run)["masks/middle/middle.parquet"]} == {4}

    code, output = run_job("segment", *segment(data, run))
    assert (code, "2 done before, 0 quarantined before, 0 to do" in output) == (0, True), output


def test_a_second_driver_says_so_and_takes_over_when_asked(dataset, undisturbed, tmp_path):
    first = start_job("segment", *segment(dataset, tmp_path, "driver.beat_seconds=0.2"))
    wait_for(lambda: list(tmp_path.glob("_work/long/000001.001/checkpoint-*.json")))
    first.send_signal(signal.SIGSTOP)
    code, output = run_job("segment", *segment(dataset, tmp_path))
    assert code == 1
    assert f"process {first.pid} on" in output
    code, output = run_job("segment", *segment(dataset, tmp_path, "driver.take_over=true"))
    assert code == 0, output
    first.send_signal(signal.SIGCONT)
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 1, said
    assert "taken this run over" in said
    assert masks_in(tmp_path) == masks_in(undisturbed)
