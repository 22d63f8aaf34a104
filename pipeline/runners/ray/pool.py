"""Workers and their leases: who works at which shard, and what follows from every end."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from pipeline.errors import FaultClass, PipelineError, UsageError
from pipeline.records import Attempt, Problem, Shard, ShardReport
from pipeline.runners.config import RunnerConfig
from pipeline.runners.guard import MakeStage, failed_report
from pipeline.runners.progress import Progress
from pipeline.runners.ray.cluster import place
from pipeline.runners.ray.deaths import problem_of_death
from pipeline.runners.ray.worker import MAX_SHARDS_AT_ONCE, WorkerLimits, WorkerReady
from pipeline.work.attempts import (
    BETTER_ALONE,
    Decision,
    Tried,
    decide,
    is_anyones,
    may_take,
    needs_fresh_worker,
)
from pipeline.work.ledger import Ledger
from pipeline.work.shards import longest_first


@dataclass
class _Worker:
    """An actor, as far as the driver knows."""

    shards_at_once: int = 0  # 0 while it loads
    node_id: str = ""
    leases_left: int | None = None  # None: any number


@dataclass
class _Lease:
    """A shard in a worker's hands."""

    actor: Any
    shard: Shard
    attempt: Attempt
    alone: bool  # the worker takes no other shard meanwhile
    started: float = field(default_factory=time.monotonic)
    companions: int = 0  # shards that the worker held beside it when it ended
    node_id: str = ""
    frames: int = -1
    last_progress: float = field(default_factory=time.monotonic)

    def note(self, frames: int) -> None:
        if frames != self.frames:
            self.frames, self.last_progress = frames, time.monotonic()


@dataclass
class _Next:
    """A shard that waits for a worker."""

    shard: Shard
    alone: bool = False  # it may have killed a worker that held several, or needs all of its memory
    not_before: float = 0.0


class Pool:
    """Workers, each loading its stage or holding leases; never more than there are shards to do."""

    def __init__(
        self,
        make_stage: MakeStage,
        shards: Sequence[Shard],
        ledger: Ledger,
        progress: Progress,
        config: RunnerConfig,
    ):
        self.make_stage, self.ledger, self.progress, self.config = make_stage, ledger, progress, config
        self.limits = WorkerLimits(config.silent_seconds, config.memory_bytes_per_worker)
        self.actor_class, self.size = place(config)
        self.queue = deque(_Next(shard) for shard in longest_first(shards))
        self.loading: dict[Any, Any] = {}  # actor by the answer that is awaited
        self.leases: dict[Any, _Lease] = {}  # likewise
        self.asked: dict[Any, tuple[Any, float]] = {}  # likewise, and since when: how many frames have masks
        self.workers: dict[Any, _Worker] = {}  # by actor
        self.failed_loads = 0
        self.waiting_since = time.monotonic()  # for a worker that has loaded

    def run(self) -> Iterator[ShardReport]:
        while self.queue or self.leases:
            self._start_workers()
            yield from self._take_answers(self.config.progress_poll_seconds)
            self._ask_for_frames()
            yield from self._end_what_hangs()
            self._tell_of_slow_start()

    def stop(self) -> None:
        """Let the workers store what they have, as long as the grace lasts, then end them all."""
        try:
            for actor in {lease.actor for lease in self.leases.values()}:
                actor.stop.remote()
            deadline = time.monotonic() + self.config.grace_seconds
            while self.leases and (left_seconds := deadline - time.monotonic()) > 0:
                for answer in ray.wait([*self.leases], timeout=left_seconds)[0]:
                    lease = self.leases.pop(answer)
                    with suppress(PipelineError):
                        self.ledger.settle(self._report_of(lease, answer), lease.attempt)
        finally:
            for actor in self.workers:
                ray.kill(actor)

    def _take_answers(self, timeout_seconds: float) -> Iterator[ShardReport]:
        waiting = [*self.loading, *self.leases]
        if not waiting:  # all shards wait for storage to come back
            time.sleep(timeout_seconds)
            self._lease_to_idle()
            return
        for answer in ray.wait(waiting, timeout=timeout_seconds)[0]:
            if answer in self.loading:
                self._after_load(self.loading.pop(answer), answer)
            else:
                lease = self.leases.pop(answer)
                yield from self._after_run(lease, self._report_of(lease, answer))
        self._lease_to_idle()

    def _start_workers(self) -> None:
        wanted = min(self.size, len(self.leases) + len(self.queue))
        for _ in range(wanted - len(self.workers)):
            actor = self.actor_class.remote()
            self.workers[actor] = _Worker(leases_left=self.config.shards_per_worker)
            self.loading[actor.load.remote(self.make_stage, self.limits)] = actor

    def _stop_worker(self, actor: Any) -> None:
        # A dead one too: Ray may only think it unreachable, and it would keep its GPU.
        if self.workers.pop(actor, None) is not None:
            ray.kill(actor)

    def _lease_to_idle(self) -> None:
        for actor, worker in list(self.workers.items()):
            if worker.shards_at_once:
                self._lease_next(actor, worker)

    def _lease_next(self, actor: Any, worker: _Worker) -> None:
        """Fill the worker with shards, or send it home."""
        held = self._held_by(actor)
        while worker.leases_left != 0 and (task := self._next_ready()):
            if not may_take([lease.alone for lease in held], task.alone, worker.shards_at_once):
                break
            self.queue.remove(task)
            lease = _Lease(actor, task.shard, self.ledger.begin(task.shard), task.alone)
            lease.node_id = worker.node_id
            self.leases[actor.run.remote(lease.shard, lease.attempt)] = lease
            held.append(lease)
            if worker.leases_left is not None:
                worker.leases_left -= 1
        if not held and (worker.leases_left == 0 or not self.queue):
            self._stop_worker(actor)

    def _next_ready(self) -> _Next | None:
        now = time.monotonic()
        return next((task for task in self.queue if task.not_before <= now), None)

    def _held_by(self, actor: Any) -> list[_Lease]:
        return [lease for lease in self.leases.values() if lease.actor is actor]

    def _after_load(self, actor: Any, answer: Any) -> None:
        try:
            ready: WorkerReady = cast(Any, ray.get(answer))
        except RayError as error:
            self._stop_worker(actor)
            self._after_failed_load(error)
        else:
            self.failed_loads = 0
            worker = self.workers[actor]
            worker.shards_at_once = min(ready.shards_at_once, MAX_SHARDS_AT_ONCE)
            worker.node_id = ready.node_id

    def _after_failed_load(self, error: RayError) -> None:
        """Let another worker try, or raise: all load the same model, so it may fail on every one."""
        self.failed_loads += 1
        problem = problem_of_death(error, node_id="")
        hopeless = isinstance(error, RayTaskError) and isinstance(error.cause, UsageError)
        if (
            not hopeless
            and decide([Tried(problem.fault_class)] * self.failed_loads, self.ledger.config) is Decision.RETRY
        ):
            self.progress.note(f"a worker could not load its model, trying again: {problem.message}")
        elif isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
            raise error.cause from None
        else:
            raise PipelineError(f"{self.failed_loads} workers in a row died while loading: {error}")

    def _after_run(self, lease: _Lease, report: ShardReport) -> Iterator[ShardReport]:
        """Yield the final report, if this is one; otherwise the shard waits for its next attempt."""
        if needs_fresh_worker(report.problem):
            self._abandon(lease)
        if is_anyones(report.problem, lease.companions):
            report = replace(report, problem=_in_company(report.problem))
        final = self.ledger.settle(report, lease.attempt)
        if final is not None:
            self.progress.finish(final)
            yield final
            return
        self.progress.note_retry(report)
        alone = report.problem is not None and report.problem.fault_class in BETTER_ALONE
        not_before = time.monotonic() + self.ledger.pause_seconds(lease.shard)
        self.queue.appendleft(_Next(lease.shard, lease.alone or alone, not_before))

    def _abandon(self, ended: _Lease) -> None:
        """Stop a worker that is dead or unfit; what else it held will come back as crashed in company."""
        held = self._held_by(ended.actor)
        for lease in (ended, *held):
            lease.companions = max(lease.companions, len(held))
        self._stop_worker(ended.actor)

    def _ask_for_frames(self) -> None:
        """Take the answers that have come, then ask again: a stuck worker holds up nobody."""
        asked = list(self.asked)
        for answer in ray.wait(asked, num_returns=len(asked), timeout=0)[0] if asked else []:
            running = {lease.shard.id: lease for lease in self._held_by(self.asked.pop(answer)[0])}
            with suppress(RayError):  # a death is noticed by the answer to `run`
                for shard_id, (first_frames, frames) in ray.get(answer).items():
                    if shard_id in running:
                        running[shard_id].note(frames)
                        self.progress.advance(shard_id, first_frames)
                        self.progress.advance(shard_id, frames)
        busy = {lease.actor for lease in self.leases.values()} - {actor for actor, _ in self.asked.values()}
        self.asked |= {actor.frames.remote(): (actor, time.monotonic()) for actor in busy}

    def _end_what_hangs(self) -> Iterator[ShardReport]:
        """Kill workers that say nothing, or whose shard does not get on."""
        now = time.monotonic()
        silent = [actor for actor, since in self.asked.values() if now - since > self.config.silent_seconds]
        for answer, lease in list(self.leases.items()):
            if lease.actor in silent:
                why = f"its worker did not answer for {self.config.silent_seconds:g} s"
            elif now - lease.last_progress > self.config.stuck_seconds:
                why = f"no new frame for {self.config.stuck_seconds:g} s"
            else:
                continue
            del self.leases[answer]
            problem = Problem(FaultClass.NO_PROGRESS, why)
            seconds = now - lease.started
            yield from self._after_run(lease, failed_report(lease.shard, lease.attempt, problem, seconds))

    def _tell_of_slow_start(self) -> None:
        """Say now and then that nothing goes on, and what it may wait for."""
        if any(worker.shards_at_once for worker in self.workers.values()):
            self.waiting_since = time.monotonic()
        elif (waited_seconds := time.monotonic() - self.waiting_since) > self.config.silent_seconds:
            self.waiting_since = time.monotonic()
            self.progress.note(
                f"no worker has started for {waited_seconds:.0f} s: the cluster has no room for one now, or "
                f"the model is slow to load; Ray has free: {_briefly(ray.available_resources())}"
            )

    def _report_of(self, lease: _Lease, answer: Any) -> ShardReport:
        """Return the worker's report, or one in its place if it died."""
        try:
            return ray.get(answer)
        except RayError as error:
            seconds = time.monotonic() - lease.started
            problem = problem_of_death(error, lease.node_id)
            return failed_report(lease.shard, lease.attempt, problem, seconds)


def _briefly(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU"))


def _in_company(problem: Problem | None) -> Problem | None:
    """Blame no shard for a death that any of several may have caused."""
    return problem and replace(
        problem,
        fault_class=FaultClass.WORKER_LOST,
        message=f"{problem.message} with several shards; each is tried again on a worker of its own",
    )
