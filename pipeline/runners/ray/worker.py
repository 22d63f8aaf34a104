"""What runs on a worker, one process that holds the model."""

import ray

from pipeline.records import Shard, ShardReport
from pipeline.runners.guard import MakeStage, run_guarded

MAX_SHARDS_AT_ONCE = 64  # threads of a worker


class StageWorker:
    """Keeps one stage, and the model it holds, on one worker's share of a machine."""

    def __init__(self):
        self._frames: dict[str, int] = {}

    def load(self, make_stage: MakeStage) -> int:
        """Load the model; return how many shards the worker takes at once."""
        # Not in the constructor, since Ray keeps the class of an exception only for methods.
        self._stage = make_stage()
        return self._stage.shards_at_once

    @ray.method(concurrency_group="shards")
    def run(self, shard: Shard, attempt: int) -> ShardReport:
        def on_frames(frames: int) -> None:
            self._frames[shard.id] = frames

        try:
            return run_guarded(self._stage, shard, attempt, on_frames)
        finally:
            self._frames.pop(shard.id, None)

    @ray.method(concurrency_group="progress")  # a thread of its own: it answers while `run` runs
    def frames(self) -> dict[str, int]:
        """Return how many frames of each shard under way have masks."""
        return dict(self._frames)
