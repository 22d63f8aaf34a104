"""Workers that hang, grow, or have done enough are replaced."""

from dataclasses import replace
from functools import partial

import pytest

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


def _fate(report):
    return report.status, report.problem and report.problem.fault_class, report.attempts
