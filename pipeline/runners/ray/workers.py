"""Workers: how many there can be, starting them, waiting for their models, and ending them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from pipeline.errors import ClusterError, FaultClass, PipelineError, UsageError
from pipeline.records import Problem
from pipeline.runners.config import RunnerConfig
from pipeline.runners.guard import MakeStage
from pipeline.runners.progress import Progress
from pipeline.runners.ray.cluster import room_for_workers, worker_class
from pipeline.runners.ray.deaths import problem_of_death
from pipeline.runners.ray.worker import MAX_SHARDS_AT_ONCE, WorkerLimits, WorkerReady
from pipeline.work.attempts import Decision, RetryConfig, Tried, decide


@dataclass
class Worker:
    """An actor, as far as the driver knows."""

    born: Any  # the answer that comes once its process is there
    leases_left: int | None = None  # None: any number
    shards_at_once: int = 0  # 0 while it loads
    node_id: str = ""
    loads_since: float | None = None  # None until its process is there, or is known to be


class Workers:
    """All workers of a run, by actor."""

    def __init__(
        self,
        make_stage: MakeStage,
        config: RunnerConfig,
        retry: RetryConfig,
        progress: Progress,
        joined: bool,
    ):
        """Start nothing yet.

        Args:
            joined: The cluster is not this run's own, and may grow.

        Raises:
            ClusterError: It has no room for a single worker, and never will.
        """
        self.make_stage, self.config, self.retry, self.progress = make_stage, config, retry, progress
        self.limits = WorkerLimits(
            config.silent_seconds, config.grace_seconds, config.memory_bytes_per_worker
        )
        self.by_actor: dict[Any, Worker] = {}
        self.loading: dict[Any, Any] = {}  # actor by the answer that is awaited
        self.failed_loads = 0
        self.waiting_since = time.monotonic()  # for a worker that has loaded
        self.room_by = time.monotonic() + (config.wait_seconds if joined else 0.0)
        self._look_for_room()

    def start(self, wanted: int) -> None:
        """Start so many in all, as far as there is room for them."""
        if wanted > len(self.by_actor) and (room := self._look_for_room()):
            actor_class = worker_class(self.config)
            for _ in range(min(wanted, room) - len(self.by_actor)):
                actor = actor_class.remote()
                self.by_actor[actor] = Worker(actor.frames.remote(), self.config.shards_per_worker)
                self.loading[actor.load.remote(self.make_stage, self.limits)] = actor

    def stop(self, actor: Any) -> None:
        # A dead one too: Ray may only think it unreachable, and it would keep its GPU.
        if self.by_actor.pop(actor, None) is not None:
            ray.kill(actor)

    def stop_all(self) -> None:
        for actor in list(self.by_actor):
            self.stop(actor)

    def take_loaded(self, answer: Any) -> None:
        """Take the answer of a worker that has loaded, or has failed to."""
        actor = self.loading.pop(answer)
        try:
            ready: WorkerReady = cast(Any, ray.get(answer))
        except RayError as error:
            self.stop(actor)
            self._after_failed_load(problem_of_death(error, node_id=""), error)
        else:
            self.failed_loads = 0
            worker = self.by_actor[actor]
            worker.shards_at_once = min(ready.shards_at_once, MAX_SHARDS_AT_ONCE)
            worker.node_id = ready.node_id

    def watch_loads(self) -> None:
        """End workers that hang while they load, and say now and then what a run waits for."""
        for answer, actor in list(self.loading.items()):
            worker = self.by_actor[actor]
            if worker.loads_since is None and ray.wait([worker.born], timeout=0)[0]:
                worker.loads_since = time.monotonic()
            if time.monotonic() - (worker.loads_since or time.monotonic()) > self.config.stuck_seconds:
                del self.loading[answer]
                self.stop(actor)
                message = f"the model did not load within {self.config.stuck_seconds:g} s"
                self._after_failed_load(Problem(FaultClass.NO_PROGRESS, message), None)
        self._tell_of_slow_start()

    def _look_for_room(self) -> int:
        """Return how many workers there can be now; machines may join and leave.

        Raises:
            ClusterError: None, for longer than is waited for.
        """
        room, needs = room_for_workers(self.config)
        if room or self.by_actor:
            self.room_by = max(self.room_by, time.monotonic() + self.config.wait_seconds)
        elif time.monotonic() >= self.room_by:
            raise ClusterError(needs)
        return min(room, self.config.workers or room)

    def _tell_of_slow_start(self) -> None:
        if any(worker.shards_at_once for worker in self.by_actor.values()):
            self.waiting_since = time.monotonic()
        elif (waited_seconds := time.monotonic() - self.waiting_since) > self.config.silent_seconds:
            self.waiting_since = time.monotonic()
            self.progress.note(
                f"no worker has started for {waited_seconds:.0f} s: the cluster has no room for one now, or "
                f"the model is slow to load; Ray has free: {_briefly(ray.available_resources())}"
            )

    def _after_failed_load(self, problem: Problem, error: RayError | None) -> None:
        """Let another worker try, or raise: all load the same model, so it may fail on every one."""
        self.failed_loads += 1
        cause = error.cause if isinstance(error, RayTaskError) else None
        failures = [Tried(problem.fault_class)] * self.failed_loads
        if not isinstance(cause, UsageError) and decide(failures, self.retry) is Decision.RETRY:
            self.progress.note(f"a worker could not load its model, trying again: {problem.message}")
        elif isinstance(cause, Exception):
            raise cause from None
        else:
            raise PipelineError(
                f"{self.failed_loads} workers in a row died while loading: {error or problem.message}"
            )


def _briefly(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
