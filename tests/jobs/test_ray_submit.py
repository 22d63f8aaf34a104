"""`ray job submit` to a cluster's head: submitted, its logs read, its masks read."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests

from tests.conftest import REPOSITORY, free_ports
from tests.jobs.conftest import masks_in, segment

RAY = Path(sys.executable).with_name("ray")
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "disabled", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def job_server(tmp_path_factory):
    """A head node of its own with its job server; yields the server's address."""
    port, dashboard_port, client_port = free_ports(3)
    command = [RAY, "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2"]
    command += [f"--port={port}", f"--dashboard-port={dashboard_port}"]
    command += [f"--ray-client-server-port={client_port}", "--object-store-memory=134217728"]
    # Any free one: the default is one for all clusters of a machine, and an agent without it takes no jobs.
    command += ["--dashboard-agent-listen-port=0"]
    log = (tmp_path_factory.mktemp("head") / "log").open("w")
    head = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{dashboard_port}"
    try:
        _wait_until_it_answers(address, head)
        yield address
    finally:
        _stop_with_children(psutil.Process(head.pid))


def _stop_with_children(head: psutil.Process) -> None:
    processes = [*head.children(recursive=True), head]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended when its parent did
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=10)[1]:
        process.kill()


def _wait_until_it_answers(address: str, head: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and head.poll() is None:
        try:
            if requests.get(f"{address}/api/jobs/", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.3)
    raise AssertionError("the head's job server did not come up")


def ray_job(address: str, verb: str, *arguments: str) -> str:
    command = [str(RAY), "job", verb, f"--address={address}", *arguments]
    for _ in range(20):
        done = subprocess.run(
            command, env=ENVIRONMENT, cwd=REPOSITORY, capture_output=True, text=True, timeout=240
        )
        if "No available agent" not in done.stdout + done.stderr:
            break
        time.sleep(1)  # the head is still starting
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.ray
@pytest.mark.slow
def test_a_submitted_job_gives_the_masks_of_a_local_run(job_server, dataset, undisturbed, tmp_path):
    arguments = [*segment(dataset, tmp_path), "runner=ray", "retry.max_attempts=2"]
    ray_job(
        job_server, "submit", "--submission-id=masks", "--working-dir=.", "--",
        sys.executable, "-m", "jobs.segment", *arguments,
    )  # fmt: skip
    assert "3 of 3 shards done, 0 quarantined" in ray_job(job_server, "logs", "masks")
    assert "SUCCEEDED" in ray_job(job_server, "status", "masks").upper()
    assert masks_in(tmp_path) == masks_in(undisturbed)
