"""`python -m jobs.show` tells how far a run is, whether it has ended or not."""

import signal
import time

from tests.jobs.conftest import run_job, segment, start_job


def test_a_run_that_was_cut_off_is_shown_as_far_as_it_came(dataset, tmp_path):
    process = start_job("segment", *segment(dataset, tmp_path))
    while not list(tmp_path.glob("_work/long/000001.001/checkpoint-000000010.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    code, output = run_job("show", f"run={tmp_path}")
    assert code == 0, output
    assert "of 3 shards done, 0 quarantined" in output
    assert f"process {process.pid} on " in output
    assert "begun: long, stored up to frame " in output
    assert "unfinished" in output


def test_a_run_that_has_ended_is_shown_with_its_masks(undisturbed):
    code, output = run_job("show", f"run={undisturbed}")
    assert code == 0, output
    assert "3 of 3 shards done, 0 quarantined" in output
    assert "works on this run" not in output
    assert "First masks" in output


def test_a_folder_without_a_run_is_named(tmp_path):
    code, output = run_job("show", f"run={tmp_path}/none")
    assert code == 1
    assert f"InputMissing: {tmp_path}/none: no run has begun here" in output
