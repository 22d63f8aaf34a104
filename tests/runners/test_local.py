"""The plain loop gives each shard its attempts and one final report."""

from functools import partial

import pytest

from pipeline.errors import DeviceFailed, FaultClass, StorageError, WeightsError
from pipeline.records import ShardStatus
from pipeline.runners.local import run_local
from pipeline.work.attempts import RetryConfig
from tests.runners.scripted import ScriptedStage, make_without_weights, shard


def test_each_shard_ends_in_one_report(outcome, tmp_path):
    shards = [
        shard("good"),
        shard("late", "fail_once"),
        shard("divided", "divide_by_zero"),
        shard("missing", "miss_input"),
    ]

    reports = outcome(run_local, partial(ScriptedStage, tmp_path), shards, RetryConfig())

    assert {
        r.shard_id: (r.status, r.problem and r.problem.fault_class, r.attempts) for r in reports.values()
    } == {
        "good": (ShardStatus.DONE, None, 1),
        "late": (ShardStatus.DONE, None, 2),
        "divided": (ShardStatus.QUARANTINED, FaultClass.BUG, 3),
        "missing": (ShardStatus.QUARANTINED, FaultClass.INPUT_MISSING, 1),
    }


def test_as_many_shards_at_a_time_as_the_stage_takes(outcome, tmp_path):
    shards = [
        *(shard(f"good-{i}", "wait_for_two_more") for i in range(3)),
        shard("divided", "divide_by_zero"),
    ]

    reports = outcome(run_local, partial(ScriptedStage, tmp_path, shards_at_once=3), shards, RetryConfig())

    assert {name: r.status for name, r in reports.items()} == {
        **{f"good-{i}": ShardStatus.DONE for i in range(3)},
        "divided": ShardStatus.QUARANTINED,
    }


def test_the_longest_shard_comes_first(outcome, tmp_path):
    shards = [shard("short", num_frames=1), shard("long", num_frames=9), shard("middle", num_frames=5)]

    reports = outcome(run_local, partial(ScriptedStage, tmp_path), shards, RetryConfig())

    assert list(reports) == ["long", "middle", "short"]


def test_storage_that_stays_away_stops_the_run(outcome, tmp_path):
    shards = [shard("full", "fill_disk", num_frames=9), shard("good")]

    with pytest.raises(StorageError, match="full"):
        outcome(run_local, partial(ScriptedStage, tmp_path), shards, RetryConfig())
    assert not (tmp_path / "attempt.good.1").exists()


def test_a_stage_that_cannot_be_made_ends_the_run(outcome):
    with pytest.raises(WeightsError, match="does not fit"):
        outcome(run_local, make_without_weights, [shard("a")], RetryConfig())


def test_no_shards_need_no_stage(outcome):
    assert outcome(run_local, make_without_weights, [], RetryConfig()) == {}


def test_a_broken_gpu_ends_the_process_and_blames_no_other_shard(outcome, tmp_path):
    shards = [shard("broken", "break_gpu", num_frames=9), shard("good")]

    with pytest.raises(DeviceFailed, match="illegal memory access.*run again"):
        outcome(run_local, partial(ScriptedStage, tmp_path), shards, RetryConfig())
    assert not (tmp_path / "attempt.good.1").exists()
