"""Leases: which worker is at which shard, and what follows from every end."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayError

from pipeline.errors import FaultClass, PipelineError
from pipeline.records import Attempt, Problem, Shard, ShardReport
from pipeline.runners.config import RunnerConfig
from pipeline.runners.guard import MakeStage, failed_report
from pipeline.runners.progress import Progress
from pipeline.runners.ray.deaths import problem_of_death
from pipeline.runners.ray.heart import Heart
from pipeline.runners.ray.workers import Worker, Workers
from pipeline.work.attempts import (
    BETTER_ALONE,
    is_anyones,
    may_take,
    needs_fresh_worker,
)
from pipeline.work.ledger import Ledger
from pipeline.work.shards import longest_first


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
    signs_of_life: int = -1
    last_progress: float = field(default_factory=time.monotonic)

    def note(self, signs_of_life: int) -> None:
        if signs_of_life != self.signs_of_life:
            self.signs_of_life, self.last_progress = signs_of_life, time.monotonic()


@dataclass
class _Next:
    """A shard that waits for a worker."""

    shard: Shard
    alone: bool = False  # it may have killed a worker that held several, or needs all of its memory
    not_before: float = 0.0


class Pool:
    """Shards, each waiting or leased to a worker; never more workers than there are shards to do."""

    def __init__(
        self,
        make_stage: MakeStage,
        shards: Sequence[Shard],
        ledger: Ledger,
        progress: Progress,
        config: RunnerConfig,
        joined: bool,
    ):
        """Start nothing yet.

        Args:
            joined: The cluster is not this run's own, and may grow.
        """
        self.ledger, self.progress, self.config = ledger, progress, config
        self.workers = Workers(make_stage, config, ledger.config, progress, joined)
        beat_seconds = min(config.progress_poll_seconds, 1.0)
        self.heart = Heart(lambda: list(self.workers.by_actor), beat_seconds, config.silent_seconds)
        self.queue = deque(_Next(shard) for shard in longest_first(shards))
        self.leases: dict[Any, _Lease] = {}  # by the answer that is awaited
        self.asked: dict[Any, tuple[Any, float]] = {}  # likewise, and since when: how many frames have masks

    def run(self) -> Iterator[ShardReport]:
        with self.heart:
            while self.queue or self.leases:
                self._start_workers()
                yield from self._take_answers(self.config.progress_poll_seconds)
                self._ask_for_frames()
                yield from self._end_what_hangs()
                self.workers.watch_loads()

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
            self.workers.stop_all()

    def _take_answers(self, timeout_seconds: float) -> Iterator[ShardReport]:
        waiting = [*self.workers.loading, *self.leases]
        if not waiting:  # for a store to come back, or for room on the cluster
            time.sleep(timeout_seconds)
            self._lease_to_idle()
            return
        for answer in ray.wait(waiting, timeout=timeout_seconds)[0]:
            if answer in self.workers.loading:
                self.workers.take_loaded(answer)
            else:
                lease = self.leases.pop(answer)
                yield from self._after_run(lease, self._report_of(lease, answer))
        self._lease_to_idle()

    def _start_workers(self) -> None:
        self.workers.start(len(self.leases) + len(self.queue))

    def _lease_to_idle(self) -> None:
        for actor, worker in list(self.workers.by_actor.items()):
            if worker.shards_at_once:
                self._lease_next(actor, worker)

    def _lease_next(self, actor: Any, worker: Worker) -> None:
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
            self.workers.stop(actor)

    def _next_ready(self) -> _Next | None:
        now = time.monotonic()
        return next((task for task in self.queue if task.not_before <= now), None)

    def _held_by(self, actor: Any) -> list[_Lease]:
        return [lease for lease in self.leases.values() if lease.actor is actor]

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
        again = _Next(lease.shard, lease.alone or alone, not_before)
        # One that must be alone waits for a worker that runs out of others: none stands idle for its sake.
        (self.queue.append if again.alone else self.queue.appendleft)(again)

    def _abandon(self, ended: _Lease) -> None:
        """Stop a worker that is dead or unfit; what else it held will come back as crashed in company."""
        held = self._held_by(ended.actor)
        for lease in (ended, *held):
            lease.companions = max(lease.companions, len(held))
        self.workers.stop(ended.actor)

    def _ask_for_frames(self) -> None:
        """Take the answers that have come, then ask again: a stuck worker holds up nobody."""
        asked = list(self.asked)
        for answer in ray.wait(asked, num_returns=len(asked), timeout=0)[0] if asked else []:
            running = {lease.shard.id: lease for lease in self._held_by(self.asked.pop(answer)[0])}
            with suppress(RayError):  # a death is noticed by the answer to `run`
                for shard_id, heard in ray.get(answer).items():
                    if shard_id in running:
                        running[shard_id].note(heard.signs_of_life)
                        for frames in heard.frames:
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
                why = f"nothing got on for {self.config.stuck_seconds:g} s"
            else:
                continue
            del self.leases[answer]
            problem = Problem(FaultClass.NO_PROGRESS, why)
            seconds = now - lease.started
            yield from self._after_run(lease, failed_report(lease.shard, lease.attempt, problem, seconds))

    def _report_of(self, lease: _Lease, answer: Any) -> ShardReport:
        """Return the worker's report, or one in its place if it died."""
        try:
            return ray.get(answer)
        except RayError as error:
            seconds = time.monotonic() - lease.started
            problem = problem_of_death(error, lease.node_id)
            if self.heart.stood_still(since=lease.started):
                message = "the driver stood still, so its workers ended by themselves"
                problem = Problem(FaultClass.WORKER_LOST, message)
            return failed_report(lease.shard, lease.attempt, problem, seconds)


def _in_company(problem: Problem | None) -> Problem | None:
    """Blame no shard for a death that any of several may have caused."""
    return problem and replace(
        problem,
        fault_class=FaultClass.WORKER_LOST,
        message=f"{problem.message} with several shards; each is tried again on a worker of its own",
    )
