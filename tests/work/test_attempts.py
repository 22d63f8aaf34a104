"""A fault's class and the attempts so far decide what happens next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import FaultClass
from pipeline.records import Problem
from pipeline.work.attempts import (
    Decision,
    RetryConfig,
    Tried,
    decide,
    exit_code,
    is_anyones,
    needs_fresh_worker,
    pause_seconds,
)

HOPELESS = ["input_missing", "input_changed", "input_too_large", "decode_corrupt", "prompt_invalid"]
HOPEFUL = ["crash_signal", "oom_gpu", "oom_host", "device", "no_progress", "weights", "bug"]
CLASSES = st.sampled_from(FaultClass)


def problem(fault_class):
    return Problem(FaultClass(fault_class), "what went wrong")


def tried(*classes, next_frames=()):
    frames = [*next_frames, *[0] * len(classes)]
    return [Tried(FaultClass(c), frame) for c, frame in zip(classes, frames, strict=False)]


def fates(*classes, next_frames=(), **config):
    """Return what follows from each of several failures in a row."""
    history = tried(*classes, next_frames=next_frames)
    return [decide(history[: i + 1], RetryConfig(**config)).value for i in range(len(history))]


@pytest.mark.parametrize("fault_class", HOPELESS)
def test_what_is_certain_to_fail_again_is_given_up_at_once(fault_class):
    assert fates(fault_class) == ["quarantine"]


@pytest.mark.parametrize("fault_class", HOPEFUL)
def test_what_may_go_away_is_tried_three_times(fault_class):
    assert fates(*[fault_class] * 3) == ["retry", "retry", "quarantine"]


def test_faults_of_different_classes_count_together():
    assert fates("bug", "crash_signal", "oom_host") == ["retry", "retry", "quarantine"]


def test_storage_that_stays_away_stops_the_run_and_blames_no_shard():
    assert fates("bug", "storage", "storage", "storage", max_attempts=3) == ["retry"] * 3 + ["stop"]


def test_lost_workers_cost_nothing_while_the_shard_gets_on():
    assert fates(*["worker_lost"] * 9, next_frames=range(10, 100, 10), max_lost_attempts=2) == ["retry"] * 9


def test_a_shard_that_loses_every_worker_and_never_gets_on_is_given_up():
    assert fates(*["worker_lost"] * 4, next_frames=[10, 10, 10, 10], max_lost_attempts=3) == [
        *["retry"] * 3,
        "quarantine",
    ]


def test_lost_workers_are_no_failures_of_the_shard():
    assert fates("worker_lost", "bug", "worker_lost", "bug", max_attempts=3) == ["retry"] * 4


def test_a_video_whose_server_is_away_is_tried_again_and_stops_no_run():
    assert fates(*["input_unavailable"] * 3, max_attempts=3) == ["retry", "retry", "quarantine"]
    assert pause_seconds(tried("input_unavailable", "input_unavailable")) >= 2


@pytest.mark.parametrize("fault_class", ["crash_signal", "no_progress"])
def test_of_several_shards_on_a_worker_none_is_blamed_for_its_end(fault_class):
    assert is_anyones(problem(fault_class), others=2)
    assert not is_anyones(problem(fault_class), others=0)
    assert not is_anyones(problem("decode_corrupt"), others=2)


def test_being_stopped_costs_nothing():
    assert fates(*["stopped"] * 9, "bug", "stopped") == ["retry"] * 11


@given(CLASSES, st.integers(1, 9))
def test_no_shard_is_tried_for_ever(fault_class, limit):
    history = tried(*[fault_class] * limit)
    decision = decide(history, RetryConfig(max_attempts=limit, max_lost_attempts=limit))
    assert (decision is Decision.RETRY) == (fault_class is FaultClass.STOPPED)


@given(st.lists(CLASSES, min_size=1, max_size=9), st.integers(1, 9))
def test_only_storage_stops_a_run(classes, max_attempts):
    decision = decide(tried(*classes), RetryConfig(max_attempts=max_attempts))
    assert decision is not Decision.STOP or classes[-1] is FaultClass.STORAGE


@given(st.integers(1, 40))
def test_pauses_grow_with_each_failure_of_storage_and_stay_bounded(failures):
    pause = pause_seconds(tried("bug", *["storage"] * failures))
    assert min(60, 2**failures) / 2 <= pause <= 60


def test_nothing_else_makes_a_shard_wait():
    assert pause_seconds([]) == pause_seconds(tried("storage", "bug")) == 0


@pytest.mark.parametrize("fault_class", HOPEFUL)
def test_a_process_that_may_be_damaged_is_not_used_again(fault_class):
    assert needs_fresh_worker(problem(fault_class))


@pytest.mark.parametrize("fault_class", [*HOPELESS, "input_unavailable", "storage"])
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
    "wrong",
    [
        {"max_attempts": 0},
        {"max_lost_attempts": 0},
        {"max_failed_fraction": -0.1},
        {"max_failed_fraction": 2},
    ],
)
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(ValueError, match=f"retry.{next(iter(wrong))}"):
        RetryConfig(**wrong)
