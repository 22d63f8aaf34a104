"""What to do after an attempt at a shard, and how a run ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from pipeline.errors import FaultClass, StorageError
from pipeline.records import Problem, ShardReport, ShardStatus

# The same inputs fail the same way: trying again only costs time.
CERTAIN = {
    FaultClass.INPUT_MISSING,
    FaultClass.DECODE_CORRUPT,
    FaultClass.PROMPT_INVALID,
    FaultClass.WEIGHTS,
}

# What these leave behind in a process can fail the next shard: a broken CUDA context, full memory.
TAINTING = {FaultClass.CRASH_SIGNAL, FaultClass.OOM_GPU, FaultClass.OOM_HOST, FaultClass.BUG}


@dataclass
class RetryConfig:
    """How often a shard is tried, and how many may be given up in a run that still counts as good."""

    max_attempts: int = 3  # at faults that may go away: crashes, full memory, storage, unknown bugs
    max_failed_fraction: float = 0.0  # of all shards, 0 to 1

    def __post_init__(self):
        if self.max_attempts < 1:
            raise ValueError(f"retry.max_attempts must be 1 or more, got {self.max_attempts}")
        if not 0 <= self.max_failed_fraction <= 1:
            raise ValueError(f"retry.max_failed_fraction must be 0 to 1, got {self.max_failed_fraction}")


class Decision(Enum):
    RETRY = "retry"
    QUARANTINE = "quarantine"  # give this shard up
    STOP = "stop"  # give the run up: it is not the shard's fault


def decide(problem: Problem, attempts: int, config: RetryConfig) -> Decision:
    """Say what follows from a problem at the last of `attempts` attempts."""
    if problem.fault_class in CERTAIN:
        return Decision.QUARANTINE
    if attempts < config.max_attempts:
        return Decision.RETRY
    if problem.fault_class is FaultClass.STORAGE:
        return Decision.STOP
    return Decision.QUARANTINE


def settle(report: ShardReport, config: RetryConfig) -> ShardReport | None:
    """Return a shard's final report after an attempt, or None if it is to be tried again.

    Raises:
        StorageError: The run has to stop.
    """
    if report.problem is None:
        return report
    decision = decide(report.problem, report.attempts, config)
    if decision is Decision.STOP:
        raise StorageError(
            f"shard {report.shard_id}: storage failed at each of {report.attempts} attempts, "
            f"the last time with: {report.problem.message}"
        )
    if decision is Decision.RETRY:
        return None
    return replace(report, status=ShardStatus.QUARANTINED)


def is_anyones(problem: Problem | None, others: int) -> bool:
    """Say whether a worker died while it held `others` more shards, any of which may have killed it.

    Then no shard loses an attempt: each is tried again on a worker that holds nothing else.
    """
    return problem is not None and problem.fault_class is FaultClass.CRASH_SIGNAL and others > 0


def may_take(held_alone: Sequence[bool], alone: bool, shards_at_once: int) -> bool:
    """Say whether a worker may have one more shard.

    Args:
        held_alone: Of each shard that it holds, whether that one must be alone.
        alone: Whether the new one must be.
        shards_at_once: How many the worker takes.

    >>> may_take([False], alone=True, shards_at_once=8), may_take([True], alone=False, shards_at_once=8)
    (False, False)
    """
    if alone or any(held_alone):
        return not held_alone
    return len(held_alone) < shards_at_once


def needs_fresh_worker(problem: Problem | None) -> bool:
    """Say whether the process that met the problem is unfit for other shards."""
    return problem is not None and problem.fault_class in TAINTING


def exit_code(given_up: int, shards: int, config: RetryConfig) -> int:
    """Return 0, or 2 if a larger fraction of the shards was given up than is allowed."""
    return 2 if given_up / max(1, shards) > config.max_failed_fraction else 0
