"""A disk that fills up: the run waits, stops with that class, and goes on when there is room."""

import os
import subprocess
import time

import pytest

from tests.faults.conftest import SETTINGS
from tests.faults.jobs import Job, masks_of
from tests.faults.outcomes import outcome


@pytest.fixture
def small_disk(tmp_path):
    """A disk of half a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts disks")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_stops_the_run_and_no_file_is_half_there(
    calm, small_dataset, small_disk, tmp_path, outcomes
):
    expected, _ = calm
    log = tmp_path / "log"
    job = Job(small_dataset, str(small_disk / "run"), SETTINGS)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(330 << 10))
    assert job.go(log) == 3, log.read_text()
    assert "No space left on device" in log.read_text()
    assert masks_of(small_disk / "run").items() <= expected.items()
    assert not list((small_disk / "run").glob("quarantine/*"))

    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    started = time.monotonic()
    assert job.go(log) == 0, log.read_text()
    seconds = time.monotonic() - started
    outcomes.add(
        outcome("disk full, later with room again", expected, masks_of(small_disk / "run"), 0, seconds)
    )
