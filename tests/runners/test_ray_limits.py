"""Workers that hang, grow, or have done enough are replaced."""

import threading
import time
from dataclasses import replace
from functools import partial

import pytest
import ray

from pipeline.errors import ClusterError, FaultClass, PipelineError, UsageError
from pipeline.records import ShardStatus
from pipeline.runners.config import RunnerConfig
from pipeline.runners.progress import Progress
from pipeline.runners.ray import run_on_ray
from pipeline.work.attempts import RetryConfig
from pipeline.work.ledger import Ledger
from tests.runners.scripted import ScriptedStage, make_and_hang, shard

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
    config = replace(ONE_WORKER, memory_bytes_per_worker=1 << 29)
    shards = [shard("large", "hoard")]

    reports = outcome(
        run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(max_attempts=2), config
    )

    assert _fate(reports["large"]) == (ShardStatus.QUARANTINED, FaultClass.OOM_HOST, 2)
    assert "memory_bytes_per_worker" in reports["large"].problem.message


def test_a_limit_below_what_the_model_needs_is_no_fault_of_the_videos(ray_here, outcome, tmp_path):
    config = replace(ONE_WORKER, memory_bytes_per_worker=1 << 20)

    with pytest.raises(UsageError, match="with its model and no video"):
        outcome(run_on_ray, partial(ScriptedStage, tmp_path), [shard("a")], RetryConfig(), config)


def test_after_so_many_shards_a_fresh_process_takes_over(ray_here, outcome, tmp_path):
    config = replace(ONE_WORKER, shards_per_worker=2)

    outcome(
        *(run_on_ray, partial(ScriptedStage, tmp_path)),
        *([shard(f"good-{i}") for i in range(5)], RetryConfig(), config),
    )

    processes = [path.read_text() for path in tmp_path.glob("attempt.*")]
    assert sorted(processes.count(one) for one in set(processes)) == [1, 2, 2]


def test_of_several_shards_on_a_worker_that_hangs_only_the_guilty_one_is_blamed(ray_here, outcome, tmp_path):
    shards = [
        *(shard(f"good-{i}", "wait_for_company") for i in range(3)),
        shard("killed-by-hanging", "hang_in_company"),
    ]

    reports = outcome(
        *(run_on_ray, partial(ScriptedStage, tmp_path, shards_at_once=4), shards),
        *(RetryConfig(max_attempts=1), replace(ONE_WORKER, silent_seconds=3)),
    )

    assert {name: _fate(report)[:2] for name, report in reports.items()} == {
        **{f"good-{i}": (ShardStatus.DONE, None) for i in range(3)},
        "killed-by-hanging": (ShardStatus.QUARANTINED, FaultClass.NO_PROGRESS),
    }


def test_decoding_counts_as_getting_on(ray_here, outcome, tmp_path):
    config = replace(ONE_WORKER, stuck_seconds=1)

    reports = outcome(
        run_on_ray, partial(ScriptedStage, tmp_path), [shard("a", "decode_for_long")], RetryConfig(), config
    )

    assert _fate(reports["a"]) == (ShardStatus.DONE, None, 1)


def test_a_video_whose_server_is_away_stops_no_other(ray_here, outcome, tmp_path):
    shards = [shard("away", "lose_its_server", num_frames=9), shard("good")]

    reports = outcome(
        run_on_ray, partial(ScriptedStage, tmp_path), shards, RetryConfig(max_attempts=2), ONE_WORKER
    )

    assert {name: _fate(report) for name, report in reports.items()} == {
        "away": (ShardStatus.QUARANTINED, FaultClass.INPUT_UNAVAILABLE, 2),
        "good": (ShardStatus.DONE, None, 1),
    }


def test_a_driver_that_waits_for_storage_loses_no_worker(ray_here, new_ledger, tmp_path, monkeypatch):
    shards = [shard("fails", "fail_once", num_frames=9), shard("long", "go_on_for_long")]
    settle = Ledger.settle

    def settle_slowly(*arguments):
        time.sleep(5)
        return settle(*arguments)

    monkeypatch.setattr(Ledger, "settle", settle_slowly)
    config = replace(ONE_WORKER, workers=2, silent_seconds=2)
    make_stage = partial(ScriptedStage, tmp_path)
    reports = list(run_on_ray(make_stage, shards, new_ledger(shards), Progress(shards), config))

    assert {report.shard_id: report.attempts for report in reports} == {"fails": 2, "long": 1}


def test_a_model_that_never_loads_ends_the_run(ray_here, outcome):
    with pytest.raises(PipelineError, match="did not load within 1 s"):
        outcome(
            *(run_on_ray, make_and_hang, [shard("a")], RetryConfig(max_attempts=2)),
            replace(ONE_WORKER, stuck_seconds=1),
        )


def test_a_worker_with_more_memory_than_any_machine_has_is_refused(ray_here, outcome, tmp_path):
    with pytest.raises(ClusterError, match="bytes of memory"):
        outcome(
            *(run_on_ray, partial(ScriptedStage, tmp_path), [shard("a")], RetryConfig()),
            replace(ONE_WORKER, memory_bytes_per_worker=1 << 60),
        )


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
