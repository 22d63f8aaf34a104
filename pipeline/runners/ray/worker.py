"""What runs on a worker, one process that holds the model."""

import os
import threading
import time
from dataclasses import dataclass

import psutil
import ray

from pipeline.errors import Stopped
from pipeline.records import Attempt, Shard, ShardReport
from pipeline.runners.guard import MakeStage, run_guarded

MAX_SHARDS_AT_ONCE = 64  # threads of a worker
LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class WorkerLimits:
    """What makes a worker end by itself."""

    driver_silent_seconds: float  # while it has shards: the driver is gone, or cut off
    memory_bytes: int | None  # that the process may hold


@dataclass(frozen=True)
class WorkerReady:
    """What the driver needs to know of a worker that has loaded."""

    shards_at_once: int
    node_id: str


class StageWorker:
    """Keeps one stage, and the model it holds, on one worker's share of a machine."""

    def __init__(self):
        self._frames: dict[str, tuple[int, int]] = {}
        self._stopping = threading.Event()
        self._memory_full = False
        self._last_asked = time.monotonic()

    def load(self, make_stage: MakeStage, limits: WorkerLimits) -> WorkerReady:
        """Load the model; return how many shards the worker takes at once, and where it is."""
        # Not in the constructor, since Ray keeps the class of an exception only for methods.
        self._stage = make_stage()
        threading.Thread(target=self._watch, args=(limits,), name="watch", daemon=True).start()
        return WorkerReady(self._stage.shards_at_once, ray.get_runtime_context().get_node_id())

    @ray.method(concurrency_group="shards")
    def run(self, shard: Shard, attempt: Attempt) -> ShardReport:
        self._last_asked = time.monotonic()
        self._frames[shard.id] = 0, 0
        first_frames: int | None = None

        def on_frames(frames: int) -> None:
            nonlocal first_frames
            if self._stopping.is_set():
                raise Stopped
            if self._memory_full:
                raise MemoryError("the worker holds more than runner.memory_bytes_per_worker")
            first_frames = frames if first_frames is None else first_frames
            self._frames[shard.id] = first_frames, frames

        try:
            return run_guarded(self._stage, shard, attempt, on_frames)
        finally:
            self._frames.pop(shard.id, None)

    @ray.method(concurrency_group="progress")  # a thread of its own: it answers while `run` runs
    def frames(self) -> dict[str, tuple[int, int]]:
        """Return how many frames of each shard under way have masks: when its attempt began, and now."""
        self._last_asked = time.monotonic()
        return dict(self._frames)

    @ray.method(concurrency_group="progress")
    def stop(self) -> None:
        """Let every shard store what it has, and end with a report that says so."""
        self._stopping.set()

    def _watch(self, limits: WorkerLimits) -> None:
        """Look at this process every second."""
        process = psutil.Process()
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            if self._frames and time.monotonic() - self._last_asked > limits.driver_silent_seconds:
                # Whoever has taken over may need the GPU. What is stored is stored.
                os._exit(1)
            if limits.memory_bytes is not None:
                self._memory_full = process.memory_info().rss > limits.memory_bytes
