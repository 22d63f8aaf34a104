import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputMissing, PipelineError
from pipeline.outputs.overlay import OverlayConfig
from pipeline.outputs.video_writer import video_writer
from pipeline.schemas import VIDEOS
from pipeline.stages.render import RenderTask, render, tasks_of
from tests.outputs.tables import frame_masks, write_masks

SIZE_HW = (47, 63)
TIMES_SECONDS = [0.0, 0.04, 0.5, 0.52, 0.54, 1.0]
RED = OverlayConfig(palette="ff0000", opacity=1, labels=False)


def block(x: int, size_hw=SIZE_HW) -> np.ndarray:
    mask = np.zeros(size_hw, bool)
    mask[10:30, x : x + 20] = True
    return mask


def write_run(run: Path, uris: dict[str, Path], frames: int = 6, status: str = "done") -> Path:
    rows = [
        {
            "video_id": video_id,
            "video_uri": str(uri),
            "status": status,
            "shards": 1,
            "objects": 1,
            "frames": frames,
            "seconds": 1.0,
            "attempts": 1,
            "flags": [],
        }
        for video_id, uri in uris.items()
    ]
    run.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=VIDEOS), run / "videos.parquet")
    return run


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(path) as container:
        return list(container.decode(video=0))


def is_red(frame: av.VideoFrame, y: int, x: int) -> bool:
    blue, green, red = (int(value) for value in frame.to_ndarray(format="bgr24")[y, x])
    return red > 180 and green < 80 and blue < 80


@pytest.fixture
def video(tmp_path) -> Path:
    path = tmp_path / "gray.mp4"
    with video_writer(path) as write:
        for time_seconds in TIMES_SECONDS:
            write(np.full((48, 64, 3), 100, np.uint8), time_seconds)
    return path


@pytest.fixture
def run(tmp_path, video) -> Path:
    run = write_run(tmp_path / "run", {"belt": video})
    masks = [frame_masks(i, {1: block(10, (48, 64))}) for i in (0, 1, 3)]
    write_masks(run, "belt", masks, shard_id="belt~1")
    write_masks(run, "belt", [frame_masks(i, {2: block(35, (48, 64))}) for i in (3, 4)], shard_id="belt~2")
    return run


def test_each_frame_shows_the_masks_of_all_shards_at_its_own_time(run, tmp_path):
    (task,) = tasks_of(str(run))
    frames = decode(render(str(run), task, tmp_path, RED))

    assert [frame.time for frame in frames] == pytest.approx(TIMES_SECONDS, abs=1e-4)
    assert [is_red(frame, 20, 20) for frame in frames] == [True, True, False, True, False, False]
    assert [is_red(frame, 20, 45) for frame in frames] == [False, False, False, True, True, False]


def test_progress_is_told_once_a_frame(run, tmp_path):
    told = []
    render(str(run), tasks_of(str(run))[0], tmp_path, RED, on_frame=lambda: told.append(1))
    assert len(told) == len(TIMES_SECONDS)


def test_masks_past_the_end_of_the_video_are_an_error_and_leave_no_overlay(run, tmp_path):
    write_masks(run, "belt", [frame_masks(6, {3: block(10, (48, 64))})], shard_id="belt~3")
    with pytest.raises(PipelineError, match="masks of frame 6, but ended before"):
        render(str(run), tasks_of(str(run))[0], tmp_path / "out", RED)
    assert list((tmp_path / "out").iterdir()) == []


def test_videos_without_masks_are_left_out(tmp_path):
    run = write_run(tmp_path, {"belt": tmp_path / "belt.mp4"}, frames=0, status="quarantined")
    assert tasks_of(str(run)) == []


def test_a_video_that_the_run_does_not_have_is_named(run):
    with pytest.raises(InputMissing, match=r"no masks of \['car'\]; there are masks of \['belt'\]"):
        tasks_of(str(run), ["car"])


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(InputMissing, match="expected the folder of a run"):
        tasks_of(str(tmp_path))


@pytest.mark.parametrize("name", ["samples/car-detection.mp4", "truth/davis/tennis/frames"])
def test_real_video_keeps_its_size_and_frames(shared_data, tmp_path, name):
    uri = shared_data / name
    size_hw = (432, 768) if uri.is_file() else (480, 854)
    write_masks(tmp_path, "real", [frame_masks(i, {1: block(30, size_hw)}) for i in range(5)])
    told = []
    path = render(
        str(tmp_path),
        RenderTask("real", str(uri), 5),
        tmp_path,
        OverlayConfig(trails=True),
        lambda: told.append(1),
    )

    frames = decode(path)
    assert len(frames) == len(told) == (377 if uri.is_file() else len(list(uri.iterdir())))
    assert {(frame.height, frame.width) for frame in frames} == {size_hw}


def run_job(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobs.render", *arguments], capture_output=True, text=True, check=False
    )


def test_the_job_goes_on_after_a_video_that_is_gone(run, video, tmp_path):
    write_run(run, {"gone": tmp_path / "gone.mp4", "belt": video})
    done = run_job(f"run={run}", "trails=true")

    assert done.returncode == 2, done.stderr
    assert "video gone has no overlay: InputMissing" in done.stderr
    assert "1 of 2 overlays" in done.stderr
    assert [path.name for path in (run / "overlays").iterdir()] == ["belt.mp4"]
