"""Attempts are counted in storage: a driver that comes later knows what was tried before."""

from dataclasses import replace

import pytest

from pipeline.errors import FaultClass, StorageError
from pipeline.records import Attempt, Problem, Prompt, Shard, ShardReport, ShardStatus
from pipeline.work.attempts import RetryConfig
from pipeline.work.ledger import Ledger, note_begin
from pipeline.work.quarantine import give_up, given_up
from pipeline.work.run_folder import RunFolder

SHARD = Shard("cam", "cam", "cam.mp4", (Prompt(1, 0, box_xyxy=(0, 0, 4, 4)),), fingerprint={"prompts": "a"})
CONFIG = RetryConfig(max_attempts=3, max_lost_attempts=2)


@pytest.fixture
def run(tmp_path):
    return RunFolder.of(str(tmp_path / "run"))


class Drivers:
    """One driver after the other, each knowing only what is stored."""

    def __init__(self, run, shard=SHARD):
        self.run, self.shard, self.epoch = run, shard, 0

    def start(self, shard=None):
        self.epoch += 1
        self.shard = shard or self.shard
        return Ledger(self.run, CONFIG, self.epoch, [self.shard])

    def attempt(self, ledger, fault_class=None, next_frame=0):
        """Let a worker begin, store a checkpoint and, if a class is given, fail by it."""
        attempt = ledger.begin(self.shard)
        with self.run.attempt(self.shard.id, attempt.name) as workspace:
            note_begin(workspace, self.shard)
            if next_frame:
                workspace.write(f"checkpoint-{next_frame:09d}.json", b"{}")
        if fault_class is None:
            return None
        return ledger.settle(failed(fault_class, attempt, self.shard), attempt)


def failed(fault_class, attempt, shard=SHARD):
    problem = Problem(FaultClass(fault_class), "what went wrong")
    return ShardReport(
        shard.id, shard.video_id, ShardStatus.FAILED, 1, attempts=attempt.number, problem=problem
    )


def test_crashes_under_several_drivers_count_together(run):
    drivers = Drivers(run)
    assert drivers.attempt(drivers.start(), "crash_signal") is None
    assert drivers.attempt(drivers.start(), "crash_signal") is None
    final = drivers.attempt(drivers.start(), "crash_signal")
    assert (final.status, final.attempts) == (ShardStatus.QUARANTINED, 3)


def test_no_two_attempts_share_a_name_whoever_began_them(run):
    drivers = Drivers(run)
    names = {ledger.begin(SHARD).name for ledger in (drivers.start(), drivers.start()) for _ in range(3)}
    assert len(names) == 6


def test_attempts_without_an_end_or_a_checkpoint_are_limited(run):
    drivers = Drivers(run)
    for _ in range(2):
        assert drivers.start().hopeless() == []
        drivers.attempt(drivers.start())
    (final,) = drivers.start().hopeless()
    assert (final.problem.fault_class, final.attempts) == (FaultClass.WORKER_LOST, 2)


def test_what_earlier_drivers_came_to_is_told_with_their_reason(run):
    drivers = Drivers(run)
    for _ in range(3):
        drivers.attempt(drivers.start(), "bug")
    (final,) = drivers.start().hopeless()
    assert final.problem.message.endswith("the last: what went wrong")


def test_an_attempt_knows_that_a_gpu_was_full_before_and_no_other_fault_counts(run):
    drivers = Drivers(run)
    drivers.attempt(drivers.start(), "crash_signal")
    assert not drivers.start().begin(SHARD).memory_was_full
    drivers.attempt(drivers.start(), "oom_gpu")
    assert drivers.start().begin(SHARD).memory_was_full


def test_a_driver_killed_again_and_again_gives_no_shard_up_that_gets_on(run):
    drivers = Drivers(run)
    for next_frame in range(10, 100, 10):
        drivers.attempt(drivers.start(), next_frame=next_frame)
        assert drivers.start().hopeless() == []


@pytest.mark.parametrize("fault_class", ["stopped", "storage"])
def test_what_is_no_fault_of_the_shard_is_forgotten_by_the_next_driver(run, fault_class):
    drivers = Drivers(run)
    for _ in range(9):
        assert drivers.attempt(drivers.start(), fault_class) is None
    assert drivers.start().begin(SHARD).number == 1


def test_a_shard_whose_inputs_changed_begins_anew(run):
    drivers = Drivers(run)
    for _ in range(2):
        drivers.attempt(drivers.start(), "bug")
    mended = replace(SHARD, fingerprint={"prompts": "b"})
    assert drivers.start(mended).begin(mended).number == 1


def test_asked_to_try_again_what_was_given_up_it_begins_anew_and_keeps_its_checkpoints(run):
    drivers = Drivers(run)
    for _ in range(2):
        drivers.attempt(drivers.start(), "bug", next_frame=10)
    give_up(run, SHARD, drivers.attempt(drivers.start(), "bug"), last_frame=9)
    assert given_up(run, [SHARD], set(), retry=True) == set()
    assert drivers.start().begin(SHARD).number == 1
    assert any("checkpoint-000000010" in name for name in run.store.sizes("_work"))


def test_a_ledger_counts_on_when_storage_is_gone(run, monkeypatch):
    ledger = Drivers(run).start()

    def fail(*_):
        raise StorageError("gone")

    monkeypatch.setattr(type(run.store), "write", fail)
    attempts = [ledger.begin(SHARD) for _ in range(3)]
    fates = [ledger.settle(failed("bug", attempt), attempt) for attempt in attempts]
    assert [fate is not None for fate in fates] == [False, False, True]


def test_storage_that_stays_away_is_raised_with_shard_and_reason(run):
    ledger = Drivers(run).start()
    with pytest.raises(StorageError, match=r"shard cam: storage failed again and again.*went wrong"):
        for _ in range(3):
            ledger.settle(failed("storage", Attempt("a")), Attempt("a"))
            assert ledger.pause_seconds(SHARD) > 0


def test_a_done_shard_is_done(run):
    ledger = Drivers(run).start()
    attempt = ledger.begin(SHARD)
    done = ShardReport("cam", "cam", ShardStatus.DONE, 1)
    assert ledger.settle(done, attempt) == done
