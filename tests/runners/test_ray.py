"""Ray workers do what the plain loop does, and what kills one of them stays with its shard."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest
import ray

from pipeline.errors import FaultClass, PipelineError, StorageError, WeightsError
from pipeline.records import ShardStatus
from pipeline.runners.config import RunnerConfig
from pipeline.runners.local import run_local
from pipeline.runners.progress import Progress
from pipeline.runners.ray import ClusterError, connected, run_on_ray, workers_that_fit
from pipeline.work.attempts import RetryConfig
from tests.conftest import REPOSITORY
from tests.runners.scripted import ScriptedStage, make_and_die, make_without_weights, shard

pytestmark = pytest.mark.ray

TWO_WORKERS = RunnerConfig(workers=2, progress_poll_seconds=0.05, grace_seconds=1)
ONE_WORKER = RunnerConfig(workers=1, progress_poll_seconds=0.05, grace_seconds=1)


def test_ray_and_the_loop_give_the_same_reports(ray_here, outcome, tmp_path):
    make_stage = partial(ScriptedStage, tmp_path)
    shards = [
        *(shard(f"good-{i}", "succeed", num_frames=i, objects=i) for i in range(1, 6)),
        shard("missing", "miss_input"),
        shard("late", "fail_once"),
    ]

    local = outcome(run_local, make_stage, shards, RetryConfig())
    on_ray = outcome(run_on_ray, make_stage, shards, RetryConfig(), TWO_WORKERS)

    # Tracebacks name the process's own lines.
    assert _without_tracebacks(on_ray) == _without_tracebacks(local)
    assert len(on_ray) == len(shards)


def test_a_fault_stays_with_its_shard(ray_here, outcome, tmp_path, workers_gone):
    shards = [
        shard("good-1"),
        shard("good-2"),
        shard("killed", "be_killed"),
        shard("killed-once", "be_killed_once"),
        shard("divided", "divide_by_zero"),
        shard("missing", "miss_input"),
        shard("gpu", "fill_gpu"),
        shard("one-thread", "need_one_thread"),
    ]

    reports = outcome(run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(), TWO_WORKERS)

    assert {name: _fate(report) for name, report in reports.items()} == {
        "good-1": (ShardStatus.DONE, None, 1),
        "good-2": (ShardStatus.DONE, None, 1),
        "killed": (ShardStatus.QUARANTINED, FaultClass.CRASH_SIGNAL, 3),
        "killed-once": (ShardStatus.DONE, None, 2),
        "divided": (ShardStatus.QUARANTINED, FaultClass.BUG, 3),
        "missing": (ShardStatus.QUARANTINED, FaultClass.INPUT_MISSING, 1),
        "gpu": (ShardStatus.QUARANTINED, FaultClass.OOM_GPU, 3),
        "one-thread": (ShardStatus.DONE, None, 1),
    }
    assert "ZeroDivisionError" in reports["divided"].problem.traceback
    assert workers_gone()


def test_of_several_shards_on_a_worker_only_the_guilty_one_is_blamed(ray_here, outcome, tmp_path):
    shards = [
        *(shard(f"good-{i}", "wait_for_company") for i in range(3)),
        shard("killed", "be_killed_in_company"),
    ]

    make_stage = partial(ScriptedStage, tmp_path, shards_at_once=4)
    reports = outcome(run_on_ray, make_stage, shards, RetryConfig(max_attempts=2), ONE_WORKER)

    assert {name: _fate(report) for name, report in reports.items()} == {
        **{f"good-{i}": (ShardStatus.DONE, None, 2) for i in range(3)},
        "killed": (ShardStatus.QUARANTINED, FaultClass.CRASH_SIGNAL, 3),
    }


def test_after_a_bug_the_shard_gets_another_process(ray_here, outcome, tmp_path):
    outcome(
        run_on_ray, partial(ScriptedStage, tmp_path), [shard("a", "fail_once")], RetryConfig(), ONE_WORKER
    )

    first, second = ((tmp_path / f"attempt.a.{attempt}").read_text() for attempt in (1, 2))
    assert first != second


def test_frames_are_seen_while_a_busy_shard_runs(ray_here, new_ledger, tmp_path):
    shards = [shard("busy", "wait_to_be_seen")]

    class Seeing(Progress):
        def advance(self, shard_id, frames):
            super().advance(shard_id, frames)
            if frames:
                (tmp_path / "seen").touch()

    ledger = new_ledger(shards)
    reports = run_on_ray(partial(ScriptedStage, tmp_path), shards, ledger, Seeing(shards), ONE_WORKER)

    assert [report.status for report in reports] == [ShardStatus.DONE]


def test_the_longest_shard_starts_first(ray_here, outcome, tmp_path):
    shards = [shard("short", num_frames=1), shard("long", num_frames=9), shard("middle", num_frames=5)]

    reports = outcome(run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(), ONE_WORKER)

    assert list(reports) == ["long", "middle", "short"]


def test_there_are_no_more_workers_than_shards(ray_here, outcome, tmp_path):
    shards = [shard("only", "linger")]

    outcome(run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(), TWO_WORKERS)

    assert len(list(tmp_path.glob("worker.*"))) == 1


def test_storage_that_stays_away_stops_the_run(ray_here, outcome, tmp_path, workers_gone):
    shards = [shard("full", "fill_disk", num_frames=9), shard("endless", "go_on_forever")]

    with pytest.raises(StorageError, match=r"full.*again and again.*No space left"):
        outcome(run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(), TWO_WORKERS)
    assert workers_gone()


def test_a_worker_that_hears_nothing_from_its_driver_ends_by_itself(tmp_path, workers_gone):
    driver = _start_driver(tmp_path, "go_on_forever", RAY_ADDRESS="")
    while not (tmp_path / "attempt.only.1").exists():
        assert driver.poll() is None, driver.communicate()[1]
        time.sleep(0.05)
    driver.send_signal(signal.SIGSTOP)

    assert workers_gone()

    driver.send_signal(signal.SIGCONT)
    driver.terminate()
    driver.communicate(timeout=60)


def test_leaving_early_ends_the_workers(ray_here, new_ledger, tmp_path, workers_gone):
    shards = [shard("good", num_frames=9), shard("endless", "go_on_forever")]
    reports = run_on_ray(
        partial(ScriptedStage, tmp_path), shards, new_ledger(shards), Progress(shards), TWO_WORKERS
    )

    assert next(reports).shard_id == "good"
    reports.close()

    assert workers_gone()


@pytest.mark.parametrize(
    ("make_stage", "error", "message"),
    [
        pytest.param(make_without_weights, WeightsError, "does not fit", id="weights"),
        pytest.param(make_and_die, PipelineError, "3 workers in a row died", id="killed while loading"),
    ],
)
def test_a_stage_that_cannot_be_made_ends_the_run(ray_here, outcome, make_stage, error, message):
    with pytest.raises(error, match=message) as raised:
        outcome(run_on_ray, make_stage, [shard("a"), shard("b")], RetryConfig(), TWO_WORKERS)
    assert type(raised.value) is error


def test_a_worker_that_fits_nowhere_is_refused(ray_here, outcome, tmp_path):
    config = RunnerConfig(cpus_per_worker=100_000)

    with pytest.raises(ClusterError, match="100000 CPUs"):
        outcome(run_on_ray, partial(ScriptedStage, tmp_path), [shard("a")], RetryConfig(), config)


def test_no_shards_need_no_cluster(outcome):
    assert outcome(run_on_ray, make_and_die, [], RetryConfig(), RunnerConfig(address="nowhere:1")) == {}


@pytest.mark.parametrize(
    ("nodes", "gpus_per_worker", "cpus_per_worker", "workers"),
    [
        pytest.param([{"CPU": 8}], 0, 1, 8, id="one a CPU"),
        pytest.param([{"CPU": 8}], 0, 3, 2, id="CPUs left over"),
        pytest.param([{"CPU": 64, "GPU": 8}, {"CPU": 64, "GPU": 8}], 1, 4, 16, id="one a GPU"),
        pytest.param([{"CPU": 64, "GPU": 2}], 0.3, 1, 6, id="no worker spans two GPUs"),
        pytest.param([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}], 2, 1, 0, id="nor two nodes"),
        pytest.param([{"CPU": 2, "GPU": 8}], 1, 1, 2, id="too few CPUs"),
        pytest.param([{"memory": 1.0}], 0, 1, 0, id="a head without CPUs"),
    ],
)
def test_as_many_workers_as_nodes_have_room_for(nodes, gpus_per_worker, cpus_per_worker, workers):
    assert workers_that_fit(nodes, gpus_per_worker, cpus_per_worker) == workers


SCRIPT = """
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from pipeline.runners.progress import Progress
from pipeline.runners.config import RunnerConfig
from pipeline.runners.ray import run_on_ray
from pipeline.work.attempts import RetryConfig
from pipeline.work.ledger import Ledger
from pipeline.work.run_folder import RunFolder
from tests.runners.scripted import ScriptedStage, shard

shards = [shard("only", sys.argv[2])]
make_stage = partial(ScriptedStage, Path(sys.argv[1]))
ledger = Ledger(RunFolder.of(sys.argv[1] + "/run"), RetryConfig(), 1, shards)
config = RunnerConfig(workers=1, grace_seconds=1, silent_seconds=5)
for report in run_on_ray(make_stage, shards, ledger, Progress(shards), config):
    print(report.shard_id, report.status.value)
"""


def _start_driver(trace, behaviour, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(trace), behaviour],
        cwd=REPOSITORY,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_driver_joins_the_cluster_of_ray_address_and_leaves_it_running(ray_here, tmp_path, workers_gone):
    driver = _start_driver(tmp_path, "succeed", RAY_ADDRESS=ray.get_runtime_context().gcs_address)
    printed, errors = driver.communicate(timeout=60)

    assert (driver.returncode, printed) == (0, "only done\n"), errors
    assert workers_gone()
    assert ray.cluster_resources()["CPU"] > 0


def test_a_cluster_that_is_not_there_is_named(tmp_path):
    driver = _start_driver(tmp_path, "succeed", RAY_ADDRESS="127.0.0.1:1")
    _, errors = driver.communicate(timeout=60)

    assert driver.returncode == 1
    assert "ClusterError: cannot start or join Ray at '127.0.0.1:1'" in errors


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_driver_leaves_nothing_running(tmp_path, workers_gone, number):
    driver = _start_driver(tmp_path, "go_on_forever", RAY_ADDRESS="")
    while not (tmp_path / "attempt.only.1").exists():
        assert driver.poll() is None, driver.communicate()[1]
        time.sleep(0.05)
    started = psutil.Process(driver.pid).children(recursive=True)

    driver.send_signal(number)
    driver.communicate(timeout=60)

    assert workers_gone()
    _, alive = psutil.wait_procs(started, timeout=15)
    assert started
    assert not alive


def test_a_ray_of_the_caller_is_left_alone(ray_here):
    with connected(RunnerConfig()):
        pass

    assert ray.is_initialized()


def _fate(report):
    return report.status, report.problem and report.problem.fault_class, report.attempts


def _without_tracebacks(reports):
    return {
        name: (_fate(report), report.objects, report.frames, report.problem and report.problem.message)
        for name, report in reports.items()
    }
