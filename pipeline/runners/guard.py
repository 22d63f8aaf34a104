"""The contract between a runner and a stage, and the wall that keeps a shard's fault to the shard."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Protocol

from pipeline.errors import FaultClass, PipelineError, Stopped
from pipeline.records import Attempt, Problem, Shard, ShardReport, ShardStatus
from pipeline.stages.on_frames import OnFrames
from pipeline.storage.uris import shown, without_secrets


class Stage(Protocol):
    """All that is done to one shard, from start to end; holds the model."""

    shards_at_once: int  # how many threads may call it, each with a shard of its own

    def __call__(self, shard: Shard, attempt: Attempt, on_frames: OnFrames) -> ShardReport:
        """Run an attempt; may raise. `on_frames` raises Stopped where it is to end in order."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


# Loads the model. It is pickled to reach Ray's workers: a function of a module, or a partial of one.
MakeStage = Callable[[], Stage]


def run_guarded(stage: Stage, shard: Shard, attempt: Attempt, on_frames: OnFrames) -> ShardReport:
    """Run one attempt; an exception becomes a FAILED report."""
    started = time.monotonic()
    try:
        return replace(stage(shard, attempt, on_frames), attempts=attempt.number)
    except (Exception, Stopped) as error:
        return failed_report(shard, attempt, problem_of(error), time.monotonic() - started)


def failed_report(shard: Shard, attempt: Attempt, problem: Problem, seconds: float) -> ShardReport:
    """Return the report of an attempt that came to nothing; it shows no secrets of the video's URI."""
    uri, safe = shard.video_uri, shown(shard.video_uri)
    return ShardReport(
        shard_id=shard.id,
        video_id=shard.video_id,
        status=ShardStatus.FAILED,
        objects=len(shard.object_ids),
        seconds=seconds,
        attempts=attempt.number,
        problem=replace(
            problem,
            message=without_secrets(problem.message.replace(uri, safe)),
            traceback=without_secrets(problem.traceback.replace(uri, safe)),
        ),
    )


def problem_of(error: BaseException) -> Problem:
    """Return the error as a record, which survives pickling as the error itself may not."""
    return Problem(
        fault_class=_fault_class(error),
        message=str(error) or type(error).__name__,
        traceback="".join(traceback.format_exception(type(error), error, error.__traceback__)),
    )


def _fault_class(error: BaseException) -> FaultClass:
    if isinstance(error, Stopped | CancelledError):  # the engine was closed under a shard that is stopped
        return FaultClass.STOPPED
    if isinstance(error, PipelineError):
        return error.fault_class
    # By name, since importing torch takes seconds that a driver need not spend.
    if any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__):
        return FaultClass.OOM_GPU
    if any(cls.__name__ == "AcceleratorError" for cls in type(error).__mro__) or "CUDA error" in str(error):
        return FaultClass.DEVICE
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        return FaultClass.OOM_HOST
    if isinstance(error, OSError):
        return FaultClass.STORAGE  # inputs name their own faults; what is left is the run folder's disk
    return FaultClass.BUG
