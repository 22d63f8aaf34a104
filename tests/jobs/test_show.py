"""`python -m jobs.show` tells how far a run is, whether it has ended or not."""

import re
import signal
import time

import pytest

from jobs import show
from pipeline.work.run_folder import RunFolder
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


@pytest.mark.parametrize(
    ("stored", "listed"),
    [
        ([], []),
        (["review/suggestions.csv"], ["review"]),
        (["overlays/v.mp4", "quarantine/v.json"], ["overlays", "quarantine"]),
        (["objects.parquet", "identities.parquet"], ["objects.parquet", "identities.parquet"]),
        (["evaluation.json", "_work/v/1/notes"], ["evaluation.json"]),
    ],
)
def test_what_is_there_is_listed_and_nothing_else(tmp_path, capsys, stored, listed):
    run = RunFolder.of(str(tmp_path))
    run.write_json(run.about, {"shards": 1})
    for name in stored:
        run.store.write(name, b"{}")

    assert show.main(show.ShowConfig(run.root)) == 0

    places = re.findall(rf"^\w+: {re.escape(run.root)}/(.*)$", capsys.readouterr().out, re.MULTILINE)
    assert places == listed


def test_a_folder_without_a_run_is_named(tmp_path):
    code, output = run_job("show", f"run={tmp_path}/none")
    assert code == 1
    assert f"InputMissing: {tmp_path}/none: no run has begun here" in output
