"""What the tests of the runners share."""

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.runners.progress import Progress


@pytest.fixture(scope="package")
def ray_here():
    """One Ray on this machine for all tests that do not start their own."""
    from pipeline.runners.config import RunnerConfig
    from pipeline.runners.ray import connected

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "7")  # which workers would inherit, were they not given their own
        with connected(RunnerConfig(address="local")):
            yield


@pytest.fixture
def outcome():
    """Return a function that runs shards to their end and gives final reports by shard id, less times."""

    def run(runner, make_stage, shards, retry, *config):
        reports = list(runner(make_stage, shards, retry, Progress(shards), *config))
        return {report.shard_id: replace(report, seconds=0.0) for report in reports}

    return run


@pytest.fixture
def workers_gone(tmp_path):
    """Return a function that says whether all processes that made a stage have ended."""

    def check():
        ids = {int(path.suffix[1:]) for path in Path(tmp_path).glob("worker.*")} - {os.getpid()}
        deadline = time.monotonic() + 15
        while (alive := [i for i in ids if psutil.pid_exists(i)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(ids) and not alive

    return check
