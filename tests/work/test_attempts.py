"""A fault's class and the attempts so far decide what happens next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import FaultClass, StorageError
from pipeline.records import Problem, ShardReport, ShardStatus
from pipeline.work.attempts import Decision, RetryConfig, decide, exit_code, needs_fresh_worker, settle

HOPELESS = ["input_missing", "decode_corrupt", "prompt_invalid", "weights"]
HOPEFUL = ["crash_signal", "oom_gpu", "oom_host", "bug"]


def problem(fault_class):
    return Problem(FaultClass(fault_class), "what went wrong")


def report(attempts, fault_class=None):
    if fault_class is None:
        return ShardReport("cam", "cam", ShardStatus.DONE, objects=1, attempts=attempts)
    return ShardReport(
        "cam", "cam", ShardStatus.FAILED, objects=1, attempts=attempts, problem=problem(fault_class)
    )


def fates(fault_class, max_attempts):
    config = RetryConfig(max_attempts=max_attempts)
    return [decide(problem(fault_class), attempt, config).value for attempt in range(1, max_attempts + 1)]


@pytest.mark.parametrize("fault_class", HOPELESS)
def test_what_is_certain_to_fail_again_is_given_up_at_once(fault_class):
    assert decide(problem(fault_class), 1, RetryConfig(max_attempts=3)) is Decision.QUARANTINE


@pytest.mark.parametrize("fault_class", HOPEFUL)
def test_what_may_go_away_is_tried_three_times(fault_class):
    assert fates(fault_class, max_attempts=3) == ["retry", "retry", "quarantine"]


def test_storage_that_stays_away_stops_the_run():
    assert fates("storage", max_attempts=3) == ["retry", "retry", "stop"]


@given(st.sampled_from(FaultClass), st.integers(1, 9))
def test_no_shard_is_tried_more_often_than_allowed(fault_class, max_attempts):
    assert fates(fault_class, max_attempts)[-1] != "retry"


@given(st.sampled_from(FaultClass), st.integers(1, 9), st.integers(1, 9))
def test_only_storage_stops_a_run(fault_class, attempts, max_attempts):
    decision = decide(problem(fault_class), attempts, RetryConfig(max_attempts=max_attempts))

    assert decision is not Decision.STOP or fault_class is FaultClass.STORAGE


def test_a_finished_shard_is_settled():
    assert settle(report(attempts=2), RetryConfig()) == report(attempts=2)


def test_a_shard_to_be_tried_again_is_not_settled():
    assert settle(report(1, "bug"), RetryConfig()) is None


def test_a_shard_given_up_keeps_its_problem_and_attempts():
    settled = settle(report(3, "bug"), RetryConfig(max_attempts=3))

    assert (settled.status, settled.problem, settled.attempts) == (
        ShardStatus.QUARANTINED,
        problem("bug"),
        3,
    )


def test_storage_that_stays_away_is_raised_with_shard_and_reason():
    with pytest.raises(StorageError, match=r"shard cam: storage failed at each of 3 attempts.*went wrong"):
        settle(report(3, "storage"), RetryConfig(max_attempts=3))


@pytest.mark.parametrize("fault_class", HOPEFUL)
def test_a_process_that_may_be_damaged_is_not_used_again(fault_class):
    assert needs_fresh_worker(problem(fault_class))


@pytest.mark.parametrize("fault_class", [*HOPELESS, "storage"])
def test_a_process_that_met_bad_input_is_used_again(fault_class):
    assert not needs_fresh_worker(problem(fault_class))


def test_a_process_that_met_no_problem_is_used_again():
    assert not needs_fresh_worker(None)


@pytest.mark.parametrize(
    ("given_up", "shards", "allowed", "code"),
    [
        pytest.param(0, 5, 0.0, 0, id="all done"),
        pytest.param(1, 5, 0.0, 2, id="one given up, none allowed"),
        pytest.param(3, 10, 0.3, 0, id="just as many as allowed"),
        pytest.param(4, 10, 0.3, 2, id="one more than allowed"),
        pytest.param(5, 5, 1.0, 0, id="all may fail"),
        pytest.param(0, 0, 0.0, 0, id="nothing to do"),
    ],
)
def test_the_exit_code_says_whether_more_was_given_up_than_allowed(given_up, shards, allowed, code):
    assert exit_code(given_up, shards, RetryConfig(max_failed_fraction=allowed)) == code


@given(st.integers(1, 1000), st.data())
def test_the_allowed_fraction_itself_is_still_good(shards, data):
    given_up = data.draw(st.integers(0, shards))

    assert exit_code(given_up, shards, RetryConfig(max_failed_fraction=given_up / shards)) == 0


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"max_failed_fraction": -0.1}, {"max_failed_fraction": 2}]
)
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(ValueError, match=f"retry.{next(iter(wrong))}"):
        RetryConfig(**wrong)
