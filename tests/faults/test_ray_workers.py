"""What can happen to a worker under Ray in the middle of its work: the table is as if it had not."""

import json
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.faults.conftest import EVERY_FRAMES, SETTINGS
from tests.faults.jobs import masks_of
from tests.faults.outcomes import outcome
from tests.jobs.conftest import start_job

pytestmark = pytest.mark.ray

ON_RAY = {**SETTINGS, "runner": "ray", "runner.workers": 2, "runner.progress_poll_seconds": 0.2}
FAULTS = {
    "KILL": "`kill -9` of a Ray worker",
    "TERM": "SIGTERM to a Ray worker",
    "STOP": "SIGSTOP of a Ray worker",
    "SEGV": "segmentation fault in a Ray worker",
    "memory": "MemoryError in a Ray worker",
    "gpu": "CUDA out of memory in a Ray worker",
    "disk": "disk full, once, in a Ray worker",
}


def start(dataset: Path, run: object, *more: str, **environment: str) -> subprocess.Popen:
    settings = [f"{name}={value}" for name, value in ON_RAY.items()]
    about = [f"manifest={dataset}/prompts.parquet", f"run={run}", "precision=fp32"]
    return start_job("segment", *about, *settings, *more, **environment)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


@pytest.mark.parametrize(
    ("action", "frame", "where"),
    [
        ("STOP", 5, "disk"),
        ("KILL", 5, "s3"),
        *(
            pytest.param(action, frame, "disk", marks=pytest.mark.chaos)
            for action in FAULTS
            for frame in (2, 7, 11)
        ),
        *(pytest.param(action, 8, "s3", marks=pytest.mark.chaos) for action in FAULTS),
    ],
)
def test_a_worker_that_goes_or_hangs_costs_no_more_than_an_interval(
    calm, small_dataset, tmp_path, outcomes, request, action, frame, where
):
    expected, _ = calm
    once, trace = tmp_path / "once", tmp_path / "trace"
    fault = f"{action}:frame:{frame}:{once};trace:frame:0:{trace}"
    run = tmp_path / "run" if where == "disk" else f"{request.getfixturevalue(where).new_bucket()}/run"
    process = start(small_dataset, run, "runner.silent_seconds=3", SAM2_BATCH_FAULT=fault)
    while not once.exists() and process.poll() is None:
        time.sleep(0.01)
    started = time.monotonic()
    code, output = ended(process)
    seconds = time.monotonic() - started
    assert code == 0, output
    assert once.exists()
    computed, frames = len(trace.read_text().splitlines()), len({(v, f) for v, _, f in expected})
    outcomes.add(outcome(FAULTS[action], expected, masks_of(run), computed - frames, seconds))
    # Up to an interval that was not stored yet, and one that was being stored, of each of two videos.
    assert computed - frames <= 2 * 2 * EVERY_FRAMES


def test_a_driver_that_is_killed_leaves_no_worker_and_the_next_one_goes_on(
    calm, small_dataset, tmp_path, outcomes
):
    expected, _ = calm
    run, trace = tmp_path / "run", tmp_path / "trace"
    process = start(small_dataset, run, SAM2_BATCH_FAULT=f"trace:frame:0:{trace};slow:frame:100:")
    deadline = time.monotonic() + 90
    while not list(run.glob("_work/*/*/checkpoint-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "StageWorker" in p.name()]
    process.kill()
    process.communicate()
    started = time.monotonic()
    code, output = ended(start(small_dataset, run, SAM2_BATCH_FAULT=f"trace:frame:0:{trace}"))
    assert code == 0, output
    seconds = time.monotonic() - started
    computed, frames = len(trace.read_text().splitlines()), len({(v, f) for v, _, f in expected})
    outcomes.add(outcome("`kill -9` of a driver of Ray", expected, masks_of(run), computed - frames, seconds))
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_ctrl_c_stores_what_is_under_way(calm, small_dataset, tmp_path, outcomes):
    expected, _ = calm
    run, trace, settings = tmp_path / "run", tmp_path / "trace", ["checkpoint.every_frames=1000"]
    slowly = f"trace:frame:0:{trace};slow:frame:500:"  # else it is done before the signal has come round
    process = start(small_dataset, run, *settings, SAM2_BATCH_FAULT=slowly)
    while not (trace.exists() and len(trace.read_text().splitlines()) >= 6):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, output = ended(process)
    assert code == 130, output
    started = time.monotonic()
    code, output = ended(start(small_dataset, run, *settings, SAM2_BATCH_FAULT=f"trace:frame:0:{trace}"))
    assert code == 0, output
    computed, frames = len(trace.read_text().splitlines()), len({(v, f) for v, _, f in expected})
    found = outcome(
        "Ctrl-C under Ray", expected, masks_of(run), computed - frames, time.monotonic() - started
    )
    outcomes.add(found)
    assert found.frames_twice == 0


def test_a_shard_that_always_kills_its_worker_is_given_up_and_no_other_is(calm, small_dataset, tmp_path):
    """The fault meets whichever process computes a third frame, once a file: two files, two deaths."""
    expected, _ = calm
    faults = ";".join(f"KILL:frame:3:{tmp_path}/once-{i}" for i in range(2))
    settings = ["runner.workers=1", "retry.max_attempts=2", "checkpoint.every_frames=1000"]
    code, output = ended(start(small_dataset, tmp_path / "run", *settings, SAM2_BATCH_FAULT=faults))
    assert code == 2, output
    rows = {row["video_id"]: row for row in pq.read_table(tmp_path / "run" / "videos.parquet").to_pylist()}
    assert (rows["one"]["status"], rows["one"]["fault_class"], rows["one"]["attempts"]) == (
        "quarantined",
        "crash_signal",
        2,
    )
    assert masks_of(tmp_path / "run") == {key: mask for key, mask in expected.items() if key[0] == "00012"}
    record = json.loads((tmp_path / "run" / "quarantine" / "one.json").read_text())
    assert record["attempts"] == 2
    code, output = ended(start(small_dataset, tmp_path / "run", "retry_quarantined=true"))
    assert code == 0, output
    assert masks_of(tmp_path / "run") == expected
