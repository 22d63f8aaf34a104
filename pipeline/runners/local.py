"""Many shards, one after the other, in this process."""

from collections.abc import Iterator, Sequence

from pipeline.records import Shard, ShardReport
from pipeline.runners.guard import MakeStage, Stage, run_guarded
from pipeline.runners.progress import Progress
from pipeline.work.attempts import RetryConfig, settle
from pipeline.work.shards import longest_first


def run_local(
    make_stage: MakeStage, shards: Sequence[Shard], retry: RetryConfig, progress: Progress
) -> Iterator[ShardReport]:
    """Yield one final report a shard, DONE or QUARANTINED, as they end.

    A crash of the process, unlike under Ray, ends the run; the same command goes on from there.

    Raises:
        StorageError: Storage failed at every attempt.
        Exception: Whatever `make_stage` raises.
    """
    if not shards:
        return
    stage = make_stage()
    for shard in longest_first(shards):
        report = _run_until_settled(stage, shard, retry, progress)
        progress.finish(report)
        yield report


def _run_until_settled(stage: Stage, shard: Shard, retry: RetryConfig, progress: Progress) -> ShardReport:
    attempt = 1
    while True:
        report = run_guarded(stage, shard, attempt, lambda frames: progress.advance(shard.id, frames))
        final = settle(report, retry)
        if final is not None:
            return final
        progress.note_retry(report)
        attempt += 1
