"""Machines that go away or are cut off, with a real cluster of several nodes on this machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.faults.jobs import make_dataset, masks_of
from tests.faults.outcomes import outcome
from tests.faults.test_ray_workers import ended, start

pytestmark = pytest.mark.ray

BIN = Path(sys.executable).parent
TWO_HOSTS = Path(__file__).with_name("two-hosts.sh")
# Ray takes a node that is silent for a few seconds for gone, which by default is half a minute.
QUICK = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}


def wait_for_checkpoint(run: Path, count: int = 1) -> None:
    deadline = time.monotonic() + 120
    while len(list(run.glob("_work/*/*/checkpoint-*"))) < count:
        assert time.monotonic() < deadline, "no checkpoint ever came"
        time.sleep(0.02)


def computed_twice(trace, expected):
    return len(trace.read_text().splitlines()) - len({(video, frame) for video, _, frame in expected})


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """A head without room for workers, and a node with room for one."""
    # Workers have their node's environment, not the driver's.
    traced = {"SAM2_BATCH_FAULT": f"trace:frame:0:{tmp_path / 'trace'}"}
    for name, value in {**QUICK, **traced}.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster, node
    cluster.shutdown()


def test_a_machine_that_is_lost_costs_its_shard_no_attempt(calm, small_dataset, cluster, tmp_path, outcomes):
    expected, _ = calm
    nodes_of, node = cluster
    run, trace = tmp_path / "run", tmp_path / "trace"
    # One attempt alone: were the loss counted, shard or run would be given up.
    settings = ["retry.max_attempts=1", "checkpoint.every_frames=2"]
    process = start(small_dataset, run, *settings, RAY_ADDRESS=nodes_of.address)
    wait_for_checkpoint(run)
    started = time.monotonic()
    nodes_of.remove_node(node, allow_graceful=False)
    nodes_of.add_node(num_cpus=1)
    code, output = ended(process)
    assert code == 0, output
    seconds = time.monotonic() - started
    twice = computed_twice(trace, expected)
    outcomes.add(outcome("`kill -9` of a raylet", expected, masks_of(run), twice, seconds))


def test_a_run_waits_for_a_cluster_that_is_still_starting(calm, small_dataset, cluster, tmp_path):
    expected, _ = calm
    nodes_of, node = cluster
    nodes_of.remove_node(node)
    process = start(small_dataset, tmp_path / "run", RAY_ADDRESS=nodes_of.address)
    time.sleep(15)  # more than a driver takes to find no machine
    assert process.poll() is None
    nodes_of.add_node(num_cpus=1)
    code, output = ended(process)
    assert code == 0, output
    assert masks_of(tmp_path / "run") == expected


@pytest.mark.chaos
def test_a_head_that_is_lost_ends_the_driver_and_another_cluster_goes_on(
    calm, small_dataset, cluster, tmp_path, outcomes
):
    expected, _ = calm
    nodes_of, node = cluster
    run, trace = tmp_path / "run", tmp_path / "trace"
    process = start(small_dataset, run, RAY_ADDRESS=nodes_of.address)
    wait_for_checkpoint(run)
    for each in (node, nodes_of.head_node):
        each.kill_all_processes(check_alive=False, allow_graceful=False)
    code, output = ended(process)
    assert code != 0, output
    started = time.monotonic()
    code, output = ended(start(small_dataset, run))
    assert code == 0, output
    twice = computed_twice(trace, expected)
    seconds = time.monotonic() - started
    outcomes.add(outcome("`kill -9` of the whole cluster", expected, masks_of(run), twice, seconds))


@pytest.fixture
def two_hosts():
    """Two network namespaces, `hosta` and `hostb`, and a function that cuts or heals the link."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    if subprocess.run([TWO_HOSTS, "up"], capture_output=True).returncode:
        subprocess.run([TWO_HOSTS, "down"], capture_output=True)
        pytest.skip("no network namespaces here")
    yield lambda action: subprocess.run([TWO_HOSTS, action], check=True)
    subprocess.run([TWO_HOSTS, "down"], check=True)


def on_host(host: str, *command: object, **options) -> subprocess.Popen:
    return subprocess.Popen(["ip", "netns", "exec", host, *map(str, command)], cwd=REPOSITORY, **options)


@pytest.fixture
def cluster_of_two_hosts(two_hosts, tmp_path):
    """Ray on both hosts; a function that starts the job on the first, and one that cuts or heals the link."""
    environment = {**os.environ, **QUICK, "SAM2_BATCH_FAULT": f"trace:frame:0:{tmp_path / 'trace'}"}
    options = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ray_start = [BIN / "ray", "start", "--block", "--disable-usage-stats", "--num-cpus=1"]
    ray_start += ["--object-store-memory=134217728"]
    on_host("hosta", *ray_start, "--head", "--port=6399", "--node-ip-address=10.231.0.1", **options)
    time.sleep(5)
    on_host("hostb", *ray_start, "--address=10.231.0.1:6399", "--node-ip-address=10.231.0.2", **options)
    time.sleep(5)

    def start_on_a(*settings: str) -> subprocess.Popen:
        command = [BIN / "python", "-m", "jobs.segment", "runner.address=10.231.0.1:6399", *settings]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return on_host("hosta", *command, env=environment, **piped)

    return start_on_a, two_hosts


@pytest.mark.chaos
def test_a_machine_that_is_cut_off_and_comes_back_harms_nothing(cluster_of_two_hosts, tmp_path, outcomes):
    """Its worker goes on writing while another has its shard; of all attempts one is committed."""
    start_on_a, do = cluster_of_two_hosts
    dataset, run, calm_run = make_dataset(tmp_path), tmp_path / "run", tmp_path / "calm"
    settings = [f"manifest={dataset}/prompts.parquet", "precision=fp32", "engine.teams=1"]
    driver = start_on_a(*settings, f"run={run}", "runner.workers=2", "checkpoint.every_frames=1")
    wait_for_checkpoint(run, 3)
    do("cut")
    started = time.monotonic()
    output, _ = driver.communicate(timeout=200)
    seconds = time.monotonic() - started
    do("heal")
    assert driver.returncode == 0, output
    twice = len((tmp_path / "trace").read_text().splitlines())
    time.sleep(5)  # for what was cut off to do what it can
    command = [BIN / "python", "-m", "jobs.segment", *settings, f"run={calm_run}", "runner=local"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    expected = masks_of(calm_run)
    twice -= len({(video, frame) for video, _, frame in expected})
    markers = [json.loads(path.read_text()) for path in run.glob("_commit/*.json")]
    assert sorted(marker["shard_id"] for marker in markers) == ["00012", "one"]
    found = outcome("a machine cut off, and back later", expected, masks_of(run), twice, seconds)
    outcomes.add(found)
