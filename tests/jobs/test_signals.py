"""A run that is stopped by a signal stores what is under way, and says what to do next."""

import os
import re
import signal
import time

import psutil
import pytest

from tests.jobs.conftest import masks_in, run_job, segment, start_job, wait_for


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal_it_says_so_and_goes_on_later(dataset, undisturbed, tmp_path, number):
    process = start_job("segment", *segment(dataset, tmp_path))
    wait_for(lambda: list(tmp_path.glob("_work/long/000001.001/checkpoint-000000010.json")))
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "stopped; the same command goes on from what is stored" in output

    code, output = run_job("segment", *segment(dataset, tmp_path))
    assert code == 0, output
    assert re.search(r"long: \d+ frames are stored already, going on from there", output)
    assert masks_in(tmp_path) == masks_in(undisturbed)


@pytest.mark.ray
def test_a_second_ctrl_c_ends_it_at_once_and_nothing_runs_on(dataset, undisturbed, tmp_path):
    fault = {"SAM2_BATCH_FAULT": f"STOP:frame:25:{tmp_path}/once"}
    process = start_job("segment", *segment(dataset, tmp_path, "runner=ray", "runner.workers=1"), **fault)
    wait_for((tmp_path / "once").exists)
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    time.sleep(1)
    assert process.poll() is None  # the worker that hangs is given its grace
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130, output
    assert "ended at once" in output
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive

    assert run_job("segment", *segment(dataset, tmp_path))[0] == 0
    assert masks_in(tmp_path) == masks_in(undisturbed)
