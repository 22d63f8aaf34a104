"""Workers that hang, grow, or have done enough are replaced."""

import threading
from dataclasses import replace
from functools import partial

import pytest
import ray

from pipeline.errors import FaultClass
from pipeline.records import ShardStatus
from pipeline.runners.config import RunnerConfig
from pipeline.runners.ray import run_on_ray
from pipeline.work.attempts import RetryConfig
from tests.runners.scripted import ScriptedStage, shard

pytestmark = pytest.mark.ray

ONE_WORKER = RunnerConfig(workers=1, progress_poll_seconds=0.05, grace_seconds=1)


def test_a_shard_that_does_not_get_on_is_given_up_and_its_worker_replaced(
    ray_here, outcome, tmp_path, workers_gone
):
    config = replace(ONE_WORKER, stuck_seconds=1)
    shards = [shard("endless", "go_on_forever", num_frames=9), shard("good")]

    reports = outcome(
        run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(max_attempts=2), config
    )

    assert {name: _fate(report) for name, report in reports.items()} == {
        "endless": (ShardStatus.QUARANTINED, FaultClass.NO_PROGRESS, 2),
        "good": (ShardStatus.DONE, None, 1),
    }
    assert workers_gone()


def test_a_worker_that_holds_too_much_memory_gives_its_shard_back(ray_here, outcome, tmp_path):
    config = replace(ONE_WORKER, memory_bytes_per_worker=1 << 20)
    shards = [shard("large", "wait_to_be_seen")]

    reports = outcome(
        run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(max_attempts=2), config
    )

    assert _fate(reports["large"]) == (ShardStatus.QUARANTINED, FaultClass.OOM_HOST, 2)
    assert "memory_bytes_per_worker" in reports["large"].problem.message


def test_after_so_many_shards_a_fresh_process_takes_over(ray_here, outcome, tmp_path):
    config = replace(ONE_WORKER, shards_per_worker=2)

    outcome(
        *(run_on_ray, partial(ScriptedStage, tmp_path)),
        *([shard(f"good-{i}") for i in range(5)], RetryConfig(), config),
    )

    processes = [path.read_text() for path in tmp_path.glob("attempt.*")]
    assert sorted(processes.count(one) for one in set(processes)) == [1, 2, 2]


def test_a_cluster_without_room_is_waited_for_and_the_user_told(ray_here, outcome, tmp_path, caplog):
    occupant = ray.remote(num_cpus=ray.cluster_resources()["CPU"])(Occupant).remote()
    ray.get(occupant.is_there.remote())
    leaves = threading.Timer(3, ray.kill, [occupant])
    leaves.start()

    with caplog.at_level("INFO"):
        reports = outcome(
            *(run_on_ray, partial(ScriptedStage, tmp_path), [shard("good")], RetryConfig()),
            replace(ONE_WORKER, silent_seconds=1),
        )

    leaves.join()
    assert "the cluster has no room for one now" in caplog.text
    assert "Ray has free: 0 CPU, 0 GPU" in caplog.text
    assert _fate(reports["good"]) == (ShardStatus.DONE, None, 1)


class Occupant:
    def is_there(self):
        return True


def _fate(report):
    return report.status, report.problem and report.problem.fault_class, report.attempts
