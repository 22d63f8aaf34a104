"""What runs on a worker, one process that holds the model."""

import os
import threading
import time
from dataclasses import dataclass

import psutil
import ray

from pipeline.errors import Stopped, UsageError
from pipeline.records import Attempt, Shard, ShardReport
from pipeline.runners.guard import MakeStage, run_guarded

MAX_SHARDS_AT_ONCE = 64  # threads of a worker
LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class WorkerLimits:
    """What makes a worker end by itself."""

    driver_silent_seconds: float  # while it has shards: the driver is gone, or cut off
    grace_seconds: float  # for storing what is under way, before it ends for that reason
    memory_bytes: int | None  # that the process may hold


@dataclass(frozen=True)
class Heard:
    """What is known of a shard under way."""

    frames: tuple[int, ...] = ()  # that have masks: when its attempt began, and now
    signs_of_life: int = 0  # a number that rises while anything gets on, decoding too

    def next(self, frames: int | None) -> "Heard":
        first = self.frames[:1] or (() if frames is None else (frames,))
        return Heard(self.frames if frames is None else (*first, frames), self.signs_of_life + 1)


@dataclass(frozen=True)
class WorkerReady:
    """What the driver needs to know of a worker that has loaded."""

    shards_at_once: int
    node_id: str


class StageWorker:
    """Keeps one stage, and the model it holds, on one worker's share of a machine."""

    def __init__(self):
        self._heard: dict[str, Heard] = {}
        self._last_heard = time.monotonic()  # of the driver
        self._stopping = threading.Event()
        self._memory_full = ""  # what is wrong, once it is

    def load(self, make_stage: MakeStage, limits: WorkerLimits) -> WorkerReady:
        """Load the model; return how many shards the worker takes at once, and where it is."""
        # Not in the constructor, since Ray keeps the class of an exception only for methods.
        self._stage = make_stage()
        held_bytes = psutil.Process().memory_info().rss
        if limits.memory_bytes is not None and held_bytes > limits.memory_bytes:
            raise UsageError(
                f"runner.memory_bytes_per_worker={limits.memory_bytes}: with its model and no video a worker "
                f"holds {held_bytes} bytes already; allow more"
            )
        threading.Thread(target=self._watch, args=(limits,), name="watch", daemon=True).start()
        return WorkerReady(self._stage.shards_at_once, ray.get_runtime_context().get_node_id())

    @ray.method(concurrency_group="shards")
    def run(self, shard: Shard, attempt: Attempt) -> ShardReport:
        self._last_heard = time.monotonic()
        self._heard[shard.id] = Heard()

        def on_frames(frames: int | None) -> None:
            if self._stopping.is_set():
                raise Stopped
            if self._memory_full:
                raise MemoryError(self._memory_full)
            self._heard[shard.id] = self._heard[shard.id].next(frames)

        try:
            return run_guarded(self._stage, shard, attempt, on_frames)
        finally:
            self._heard.pop(shard.id, None)

    @ray.method(concurrency_group="progress")  # a thread of its own: it answers while `run` runs
    def frames(self) -> dict[str, Heard]:
        """Return how far each shard under way is."""
        return dict(self._heard)

    @ray.method(concurrency_group="progress")
    def hear(self) -> None:
        """Take note that the driver lives."""
        self._last_heard = time.monotonic()

    @ray.method(concurrency_group="progress")
    def stop(self) -> None:
        """Let every shard store what it has, and end with a report that says so."""
        self._stopping.set()

    def _watch(self, limits: WorkerLimits) -> None:
        """Look at this process every second."""
        process = psutil.Process()
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            silent_seconds = time.monotonic() - self._last_heard if self._heard else 0.0
            if silent_seconds > limits.driver_silent_seconds:
                self._stopping.set()
            if silent_seconds > limits.driver_silent_seconds + limits.grace_seconds:
                # Whoever has taken over may need the GPU. What is stored is stored.
                os._exit(1)
            if limits.memory_bytes is not None:
                held_bytes = process.memory_info().rss
                allowed = f"runner.memory_bytes_per_worker={limits.memory_bytes}"
                is_full = held_bytes > limits.memory_bytes
                self._memory_full = f"the worker holds {held_bytes} bytes, {allowed}" if is_full else ""
