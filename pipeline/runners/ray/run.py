"""All shards of a run, on a cluster that is joined or started for it."""

from collections.abc import Iterator, Sequence

from pipeline.records import Shard, ShardReport
from pipeline.runners.config import RunnerConfig
from pipeline.runners.guard import MakeStage
from pipeline.runners.progress import Progress
from pipeline.runners.ray.cluster import connected
from pipeline.runners.ray.pool import Pool
from pipeline.work.ledger import Ledger


def run_on_ray(
    make_stage: MakeStage,
    shards: Sequence[Shard],
    ledger: Ledger,
    progress: Progress,
    config: RunnerConfig,
) -> Iterator[ShardReport]:
    """Yield one final report a shard, DONE or QUARANTINED, as they end.

    No worker outlives this generator; when it is closed, by Ctrl-C too, they store what is under way first,
    if that takes no longer than the grace. A Ray that the caller has connected to is used and left alone.

    Raises:
        ClusterError: The cluster can't be joined, or has no room for a single worker, for too long.
        StorageError: Storage failed at every attempt.
        Exception: What `make_stage` raises on the workers.
    """
    if not shards:
        return
    with connected(config) as joined:
        pool = Pool(make_stage, shards, ledger, progress, config, joined)
        try:
            yield from pool.run()
        finally:
            pool.stop()
