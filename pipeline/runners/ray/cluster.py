"""The cluster: joining it or starting one, and how many workers it has room for."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from pipeline.errors import ClusterError
from pipeline.runners.config import RunnerConfig
from pipeline.runners.ray.worker import MAX_SHARDS_AT_ONCE, StageWorker

OBJECT_STORE_BYTES = 128 << 20  # only shards and reports pass through it; Ray would take a third of memory


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


def place(config: RunnerConfig) -> tuple[Any, int]:
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
        "memory": config.memory_bytes_per_worker,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": {"progress": 1, "shards": MAX_SHARDS_AT_ONCE},
        # Not torch.set_num_threads, which holds for the calling thread only; Ray runs shards in another.
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(config.cpus_per_worker)}},
    }
    return ray.remote(**options)(StageWorker), config.workers or fitting
