"""What to do after an attempt at a shard, by all that is known of the attempts before; how a run ends."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pipeline.errors import FaultClass
from pipeline.records import Problem

# The same inputs fail the same way: trying again only costs time.
CERTAIN = {
    FaultClass.INPUT_MISSING,
    FaultClass.INPUT_CHANGED,
    FaultClass.INPUT_TOO_LARGE,
    FaultClass.DECODE_CORRUPT,
    FaultClass.PROMPT_INVALID,
}

# What these leave behind in a process can fail the next shard: a broken CUDA context, full memory.
TAINTING = {
    FaultClass.STOPPED,  # a worker that was to stop takes nothing on
    FaultClass.CRASH_SIGNAL,
    FaultClass.WORKER_LOST,
    FaultClass.NO_PROGRESS,
    FaultClass.OOM_GPU,
    FaultClass.OOM_HOST,
    FaultClass.DEVICE,
    FaultClass.WEIGHTS,  # one machine's file is not that of the others
    FaultClass.BUG,
}

# No fault of the shard: these cost no attempt as long as the shard gets on.
BLAMELESS = {FaultClass.WORKER_LOST}

NOT_OF_THE_SHARD = {FaultClass.STOPPED, FaultClass.STORAGE}

# Next time without company, that takes memory or may have been the one to crash.
BETTER_ALONE = {FaultClass.WORKER_LOST, FaultClass.OOM_GPU, FaultClass.OOM_HOST}

# May be better in a while.
WORTH_A_PAUSE = {FaultClass.STORAGE, FaultClass.INPUT_UNAVAILABLE, FaultClass.WEIGHTS}

# One of several shards of a worker did it, and nobody knows which.
OF_ANYONE = {FaultClass.CRASH_SIGNAL, FaultClass.NO_PROGRESS}

LONGEST_PAUSE_SECONDS = 60.0


@dataclass
class RetryConfig:
    """How often a shard is tried, and how many may be given up in a run that still counts as good."""

    max_attempts: int = 3  # at faults that may go away: crashes, full memory, servers, unknown bugs
    max_lost_attempts: int = 5  # without a new checkpoint, whose worker went away without a word
    max_failed_fraction: float = 0.0  # of all shards, 0 to 1

    def __post_init__(self):
        for name in ("max_attempts", "max_lost_attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"retry.{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 <= self.max_failed_fraction <= 1:
            raise ValueError(f"retry.max_failed_fraction must be 0 to 1, got {self.max_failed_fraction}")


class Decision(Enum):
    RETRY = "retry"
    QUARANTINE = "quarantine"  # give this shard up
    STOP = "stop"  # give the run up: it is not the shard's fault


@dataclass(frozen=True)
class Tried:
    """What is known of an attempt that did not end well."""

    fault_class: FaultClass  # WORKER_LOST where nothing was said of its end
    next_frame: int = 0  # of its last checkpoint
    message: str = ""


def decide(tried: Sequence[Tried], config: RetryConfig) -> Decision:
    """Say what follows from all attempts at a shard so far, in order, the last of which has just failed."""
    last = tried[-1].fault_class
    if last in CERTAIN:
        return Decision.QUARANTINE
    if last is FaultClass.STOPPED:
        return Decision.RETRY
    if last is FaultClass.STORAGE:
        failures = sum(t.fault_class is last for t in tried)
        return Decision.RETRY if failures < config.max_attempts else Decision.STOP
    if last in BLAMELESS:
        return Decision.RETRY if _without_progress(tried) < config.max_lost_attempts else Decision.QUARANTINE
    failures = sum(t.fault_class not in BLAMELESS | NOT_OF_THE_SHARD for t in tried)
    return Decision.RETRY if failures < config.max_attempts else Decision.QUARANTINE


def _without_progress(tried: Sequence[Tried]) -> int:
    """Return how many blameless attempts in a row, up to the last one, came no further than those before."""
    count = 0
    for i in reversed(range(len(tried))):
        furthest_before = max((t.next_frame for t in tried[:i]), default=0)
        if tried[i].fault_class not in BLAMELESS or tried[i].next_frame > furthest_before:
            break
        count += 1
    return count


def pause_seconds(tried: Sequence[Tried]) -> float:
    """Return how long to wait before the next attempt: longer each time that a store failed in a row."""
    failures = 0
    while failures < len(tried) and tried[-1 - failures].fault_class in WORTH_A_PAUSE:
        failures += 1
    if not failures:
        return 0.0
    return min(LONGEST_PAUSE_SECONDS, 2.0**failures) * random.uniform(0.5, 1)


def is_anyones(problem: Problem | None, others: int) -> bool:
    """Say whether a worker died or hung while it held `others` more shards, any of which may have done it.

    Then no shard loses an attempt: each is tried again on a worker that holds nothing else.
    """
    return problem is not None and problem.fault_class in OF_ANYONE and others > 0


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
