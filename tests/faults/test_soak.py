"""Many short videos through two workers that are killed now and then: nothing lost, nothing leaks."""

import os
import random
import time
from contextlib import suppress

import psutil
import pytest

from tests.clips import box, moving_shapes, write_manifest, write_video
from tests.faults.jobs import masks_of
from tests.faults.outcomes import outcome
from tests.faults.test_ray_workers import ended, start

pytestmark = pytest.mark.ray


def workers_of(driver: psutil.Process) -> list[psutil.Process]:
    return [p for p in driver.children(recursive=True) if "StageWorker.run" in " ".join(p.cmdline())]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("videos", "kills"), [(16, 2), pytest.param(300, 20, marks=pytest.mark.chaos)])
def test_many_videos_and_many_deaths(tmp_path, outcomes, videos, kills):
    dataset = tmp_path / "data"
    dataset.mkdir()
    write_video(dataset / "cam.mp4", moving_shapes(8))
    for i in range(videos):
        os.link(dataset / "cam.mp4", dataset / f"cam{i}.mp4")
    write_manifest(dataset / "prompts.parquet", [box(f"cam{i}") for i in range(videos)])
    run, trace, dice = tmp_path / "run", tmp_path / "trace", random.Random(7)
    settings = ["checkpoint.every_frames=3", "retry.max_attempts=9"]
    process = start(dataset, run, *settings, SAM2_BATCH_FAULT=f"trace:frame:0:{trace};slow:frame:40:")
    driver, killed, seen = psutil.Process(process.pid), 0, []
    due = sorted(dice.sample(range(videos * 6), kills))
    started = time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        frames = len(trace.read_text().splitlines()) if trace.exists() else 0
        with suppress(psutil.NoSuchProcess):  # whoever is looked at may just have ended
            if killed < kills and frames >= due[killed] and (workers := workers_of(driver)):
                dice.choice(workers).kill()
                killed += 1
            seen.append((driver.memory_info().rss, driver.num_fds()))
    code, output = ended(process)
    assert code == 0, output
    seconds = time.monotonic() - started
    assert killed == kills
    found = masks_of(run)
    expected = {(f"cam{i}", 1, frame): found["cam0", 1, frame] for i in range(videos) for frame in range(8)}
    twice = len(trace.read_text().splitlines()) - 8 * videos
    outcomes.add(outcome(f"a soak: {videos} videos, {kills} workers killed", expected, found, twice, seconds))
    settled = seen[len(seen) // 3 :]
    assert settled[-1][0] < 1.3 * settled[0][0], "the driver's memory grows"
    assert max(fds for _, fds in settled) < settled[0][1] + 40, "the driver's open files grow"
