"""What the tests of the runners share."""

import os
import time
import uuid
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.runners.progress import Progress
from pipeline.runners.ray import run_on_ray
from pipeline.work.attempts import RetryConfig
from pipeline.work.ledger import Ledger
from pipeline.work.run_folder import RunFolder


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
def new_ledger(tmp_path):
    """Return a function that makes a ledger in a run folder of its own."""

    def make(shards, retry=None):
        run = RunFolder.of(str(tmp_path / f"run-{uuid.uuid4().hex}"))
        return Ledger(run, retry or RetryConfig(), 1, shards)

    return make


@pytest.fixture
def outcome(new_ledger):
    """Return a function that runs shards to their end and gives final reports by shard id, less times."""

    def run(runner, make_stage, shards, retry, config=None):
        ledger = new_ledger(shards, retry)
        how = config if runner is run_on_ray else 1.0
        reports = list(runner(make_stage, shards, ledger, Progress(shards), how))
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
