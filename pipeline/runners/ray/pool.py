"""Workers and their leases: who works at which shard, and what follows from every end."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from pipeline.errors import FaultClass, PipelineError
from pipeline.records import Problem, Shard, ShardReport
from pipeline.runners.config import RunnerConfig
from pipeline.runners.guard import MakeStage, failed_report, problem_of
from pipeline.runners.progress import Progress
from pipeline.runners.ray.cluster import place
from pipeline.runners.ray.worker import MAX_SHARDS_AT_ONCE
from pipeline.work.attempts import (
    Decision,
    RetryConfig,
    decide,
    is_anyones,
    may_take,
    needs_fresh_worker,
    settle,
)
from pipeline.work.shards import longest_first


@dataclass
class _Lease:
    """A shard in a worker's hands."""

    actor: Any
    shard: Shard
    attempt: int
    started: float
    alone: bool  # the worker takes no other shard meanwhile
    companions: int = 0  # shards that the worker held beside it when it ended


@dataclass
class _Next:
    """A shard that waits for a worker."""

    shard: Shard
    attempt: int = 1
    alone: bool = False  # it may have killed a worker that held several


class Pool:
    """Workers, each loading its stage or holding leases; never more than there are shards to do."""

    def __init__(
        self,
        make_stage: MakeStage,
        shards: Sequence[Shard],
        retry: RetryConfig,
        progress: Progress,
        config: RunnerConfig,
    ):
        self.make_stage, self.retry, self.progress = make_stage, retry, progress
        self.poll_seconds = config.progress_poll_seconds
        self.actor_class, self.size = place(config)
        self.queue = deque(_Next(shard) for shard in longest_first(shards))
        self.loading: dict[Any, Any] = {}  # actor by the answer that is awaited
        self.leases: dict[Any, _Lease] = {}  # likewise
        self.asked: dict[Any, Any] = {}  # likewise: how many frames have masks
        self.actors: dict[Any, int] = {}  # with how many shards each takes at once, 0 while it loads
        self.failed_loads = 0

    def run(self) -> Iterator[ShardReport]:
        while self.queue or self.leases:
            self._start_workers()
            answers, _ = ray.wait([*self.loading, *self.leases], timeout=self.poll_seconds)
            for answer in answers:
                if answer in self.loading:
                    self._after_load(self.loading.pop(answer), answer)
                elif final := self._after_run(self.leases.pop(answer), answer):
                    self.progress.finish(final)
                    yield final
            self._ask_for_frames()

    def close(self) -> None:
        for actor in self.actors:
            ray.kill(actor)

    def _start_workers(self) -> None:
        wanted = min(self.size, len(self.leases) + len(self.queue))
        for _ in range(wanted - len(self.actors)):
            actor = self.actor_class.remote()
            self.actors[actor] = 0
            self.loading[actor.load.remote(self.make_stage)] = actor

    def _stop_worker(self, actor: Any) -> None:
        # A dead one too: Ray may only think it unreachable, and it would keep its GPU.
        if self.actors.pop(actor, None) is not None:
            ray.kill(actor)

    def _lease_next(self, actor: Any) -> None:
        """Fill the worker with shards, or send it home."""
        held = self._held_by(actor)
        while self.queue and may_take(
            [lease.alone for lease in held], self.queue[0].alone, self.actors[actor]
        ):
            task = self.queue.popleft()
            lease = _Lease(actor, task.shard, task.attempt, time.monotonic(), task.alone)
            self.leases[actor.run.remote(task.shard, task.attempt)] = lease
            held.append(lease)
        if not held:
            self._stop_worker(actor)

    def _held_by(self, actor: Any) -> list[_Lease]:
        return [lease for lease in self.leases.values() if lease.actor is actor]

    def _after_load(self, actor: Any, answer: Any) -> None:
        try:
            self.actors[actor] = min(ray.get(answer), MAX_SHARDS_AT_ONCE)
        except RayError as error:
            self._stop_worker(actor)
            self._after_failed_load(error)
        else:
            self.failed_loads = 0
            self._lease_next(actor)

    def _after_failed_load(self, error: RayError) -> None:
        """Let another worker try, or raise: all load the same model, so it may fail on every one."""
        self.failed_loads += 1
        problem = _problem_of(error)
        if decide(problem, self.failed_loads, self.retry) is Decision.RETRY:
            self.progress.note(f"a worker could not load its model, trying again: {problem.message}")
        elif isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
            raise error.cause from None
        else:
            raise PipelineError(f"{self.failed_loads} workers in a row died while loading: {error}")

    def _after_run(self, lease: _Lease, answer: Any) -> ShardReport | None:
        report = _report_of(lease, answer)
        if needs_fresh_worker(report.problem):
            self._abandon(lease)
        if is_anyones(report.problem, lease.companions):
            self.queue.appendleft(_Next(lease.shard, lease.attempt, alone=True))
            final = None
        else:
            final = self._settle(lease, report)
        if lease.actor in self.actors:
            self._lease_next(lease.actor)
        return final

    def _settle(self, lease: _Lease, report: ShardReport) -> ShardReport | None:
        final = settle(report, self.retry)
        if final is None:
            self.progress.note_retry(report)
            self.queue.appendleft(_Next(lease.shard, lease.attempt + 1, lease.alone))
        return final

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
            running = {lease.shard.id for lease in self._held_by(self.asked.pop(answer))}
            with suppress(RayError):  # a death is noticed by the answer to `run`
                for shard_id, frames in ray.get(answer).items():
                    if shard_id in running:
                        self.progress.advance(shard_id, frames)
        busy = {lease.actor for lease in self.leases.values()} - set(self.asked.values())
        self.asked |= {actor.frames.remote(): actor for actor in busy}


def _report_of(lease: _Lease, answer: Any) -> ShardReport:
    """Return the worker's report, or one in its place if it died."""
    try:
        return ray.get(answer)
    except RayError as error:
        seconds = time.monotonic() - lease.started
        return failed_report(lease.shard, lease.attempt, _problem_of(error), seconds)


def _problem_of(error: RayError) -> Problem:
    """Return what went wrong on the worker, as far as Ray could tell."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        return replace(problem_of(error.cause), traceback=str(error))
    if isinstance(error, RayActorError):
        return Problem(FaultClass.CRASH_SIGNAL, "the worker process died", traceback=str(error))
    if isinstance(error, OutOfMemoryError):
        return Problem(FaultClass.OOM_HOST, "its machine ran out of memory", traceback=str(error))
    return problem_of(error)
