"""Many shards on as many workers as a Ray cluster has room for. Nothing else imports Ray.

Each worker is one process that holds the model and works at one shard at a time, so a death is
blamed on the right shard. Ray itself never retries: `pipeline.work.attempts` decides. Shards and
reports travel through Ray, frames and masks never do.
"""

import os
import secrets
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from pipeline.errors import ClusterError, FaultClass, PipelineError
from pipeline.records import Problem, Shard, ShardReport
from pipeline.runners.config import RunnerConfig
from pipeline.runners.guard import MakeStage, failed_report, problem_of, run_guarded
from pipeline.runners.progress import Progress
from pipeline.work.attempts import Decision, RetryConfig, decide, needs_fresh_worker, settle
from pipeline.work.shards import longest_first

OBJECT_STORE_BYTES = 128 << 20  # only shards and reports pass through it; Ray would take a third of memory


def run_on_ray(
    make_stage: MakeStage,
    shards: Sequence[Shard],
    retry: RetryConfig,
    progress: Progress,
    config: RunnerConfig,
) -> Iterator[ShardReport]:
    """Yield one final report a shard, DONE or QUARANTINED, as they end.

    No worker outlives this generator. A Ray that the caller has connected to is used and left alone.

    Raises:
        ClusterError: The cluster can't be joined, or has no room for a single worker.
        StorageError: Storage failed at every attempt.
        Exception: What `make_stage` raises on the workers.
    """
    if not shards:
        return
    with connected(config):
        pool = _Pool(make_stage, shards, retry, progress, config)
        try:
            yield from pool.run()
        finally:
            pool.close()


@contextmanager
def connected(config: RunnerConfig) -> Iterator[None]:
    """Join the configured cluster or start one on this machine, unless Ray is connected already."""
    if ray.is_initialized():
        yield
        return
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        # Ray listens on all interfaces and runs what it is sent, unless a token is asked for, as Ray does
        # by default since 2.60. Without one given it would leave its own in the home folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        _probe(address)
        ray.init(address=address, **options)
    except (OSError, RuntimeError) as error:
        raise ClusterError(f"cannot start or join Ray at {address!r}: {error}") from error
    # `init` puts its own handler in place of the caller's.
    if callable(on_sigterm) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Raise OSError if nobody listens at a host:port; Ray itself would try for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), timeout=10).close()


def workers_that_fit(nodes: Sequence[dict[str, float]], gpus_per_worker: float, cpus_per_worker: int) -> int:
    """Return how many workers nodes with these Ray resources have room for; none spans two GPUs or nodes.

    >>> workers_that_fit([{"GPU": 2, "CPU": 16}, {"GPU": 1, "CPU": 2}], 0.5, 1)
    6
    """
    return sum(_workers_on(node, gpus_per_worker, cpus_per_worker) for node in nodes)


def _workers_on(node: dict[str, float], gpus_per_worker: float, cpus_per_worker: int) -> int:
    by_cpu = int(node.get("CPU", 0) // cpus_per_worker)
    if not gpus_per_worker:
        return by_cpu
    gpus = int(node.get("GPU", 0))
    by_gpu = gpus * int(1 / gpus_per_worker) if gpus_per_worker < 1 else int(gpus // gpus_per_worker)
    return min(by_cpu, by_gpu)


class StageWorker:
    """Keeps one stage, and the model it holds, on one worker's share of a machine."""

    def __init__(self):
        self._frames = ("", 0)

    def load(self, make_stage: MakeStage) -> None:
        # Not in the constructor, since Ray keeps the class of an exception only for methods.
        self._stage = make_stage()

    def run(self, shard: Shard, attempt: int) -> ShardReport:
        def on_frames(frames: int) -> None:
            self._frames = (shard.id, frames)

        return run_guarded(self._stage, shard, attempt, on_frames)

    @ray.method(concurrency_group="progress")  # a thread of its own: it answers while `run` runs
    def frames(self) -> tuple[str, int]:
        """Return the shard last worked at and how many of its frames have masks."""
        return self._frames


@dataclass
class _Lease:
    """A shard in a worker's hands."""

    actor: Any
    shard: Shard
    attempt: int
    started: float
    asked: Any = None  # the question how many frames have masks, until it is answered


class _Pool:
    """Workers, each loading its stage or holding one lease; never more than there are shards to do."""

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
        self.actor_class, self.size = _place(config)
        self.queue = deque((shard, 1) for shard in longest_first(shards))  # with the attempt that is next
        self.loading: dict[Any, Any] = {}  # actor by the answer that is awaited
        self.leases: dict[Any, _Lease] = {}  # likewise
        self.actors: list[Any] = []
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
        for _ in range(wanted - len(self.leases) - len(self.loading)):
            actor = self.actor_class.remote()
            self.actors.append(actor)
            self.loading[actor.load.remote(self.make_stage)] = actor

    def _stop_worker(self, actor: Any) -> None:
        # A dead one too: Ray may only think it unreachable, and it would keep its GPU.
        self.actors.remove(actor)
        ray.kill(actor)

    def _lease_next(self, actor: Any) -> None:
        """Give the worker the next shard, or send it home."""
        if not self.queue:
            self._stop_worker(actor)
            return
        shard, attempt = self.queue.popleft()
        answer = actor.run.remote(shard, attempt)
        self.leases[answer] = _Lease(actor, shard, attempt, started=time.monotonic())

    def _after_load(self, actor: Any, answer: Any) -> None:
        try:
            ray.get(answer)
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
        final = settle(report, self.retry)
        if final is None:
            self.progress.note_retry(report)
            self.queue.appendleft((lease.shard, lease.attempt + 1))
        if needs_fresh_worker(report.problem):
            self._stop_worker(lease.actor)
        else:
            self._lease_next(lease.actor)
        return final

    def _ask_for_frames(self) -> None:
        """Take the answers that have come, then ask again: a stuck worker holds up nobody."""
        asked = {lease.asked: lease for lease in self.leases.values() if lease.asked}
        answers = ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else []
        for answer in answers:
            lease = asked[answer]
            lease.asked = None
            with suppress(RayError):  # a death is noticed by the answer to `run`
                shard_id, frames = ray.get(answer)
                if shard_id == lease.shard.id:
                    self.progress.advance(shard_id, frames)
        for lease in self.leases.values():
            lease.asked = lease.asked or lease.actor.frames.remote()


def _place(config: RunnerConfig) -> tuple[Any, int]:
    """Return the actor class with each worker's share of a machine, and how many workers to start."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = config.gpus_per_worker if any(node.get("GPU") for node in nodes) else 0
    fitting = workers_that_fit(nodes, gpus, config.cpus_per_worker)
    if not fitting:
        raise ClusterError(
            f"no node of the Ray cluster has the {gpus} GPUs and {config.cpus_per_worker} CPUs that a worker "
            f"needs; the nodes have {nodes}. Lower runner.gpus_per_worker or runner.cpus_per_worker"
        )
    options: dict[str, Any] = {
        "num_gpus": gpus,
        "num_cpus": config.cpus_per_worker,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": {"progress": 1},
        # Not torch.set_num_threads, which holds for the calling thread only; Ray runs shards in another.
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(config.cpus_per_worker)}},
    }
    return ray.remote(**options)(StageWorker), config.workers or fitting


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
