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
def connected(config: RunnerConfig) -> Iterator[bool]:
    """Join the configured cluster or start one on this machine, unless Ray is connected already.

    Yields:
        Whether it was joined: such a one may grow.
    """
    if ray.is_initialized():
        yield False
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
        yield address != "local"
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Raise OSError if nobody listens at a host:port; Ray itself would try for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), timeout=10).close()


def workers_that_fit(
    nodes: Sequence[dict[str, float]],
    gpus_per_worker: float,
    cpus_per_worker: int,
    memory_bytes_per_worker: int | None = None,
) -> int:
    """Return how many workers nodes with these Ray resources have room for; none spans two GPUs or nodes.

    >>> workers_that_fit([{"GPU": 2, "CPU": 16}, {"GPU": 1, "CPU": 2}], 0.5, 1)
    6
    """
    return sum(_workers_on(node, gpus_per_worker, cpus_per_worker, memory_bytes_per_worker) for node in nodes)


def _workers_on(node: dict[str, float], gpus: float, cpus: int, memory_bytes: int | None) -> int:
    limits = [int(node.get("CPU", 0) // cpus)]
    if memory_bytes is not None:
        limits.append(int(node.get("memory", 0) // memory_bytes))
    if gpus:
        here = int(node.get("GPU", 0))
        limits.append(here * int(1 / gpus) if gpus < 1 else int(here // gpus))
    return min(limits)


def room_for_workers(config: RunnerConfig) -> tuple[int, str]:
    """Return how many workers the cluster's nodes have room for now, and what a worker needs, for people."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus, cpus, memory_bytes = _gpus(config), config.cpus_per_worker, config.memory_bytes_per_worker
    memory = f" and {memory_bytes} bytes of memory" if memory_bytes is not None else ""
    return workers_that_fit(nodes, gpus, cpus, memory_bytes), (
        f"no node of the Ray cluster has the {gpus} GPUs, {cpus} CPUs{memory} that a worker needs; the nodes "
        f"have {nodes}. Lower runner.gpus_per_worker, cpus_per_worker or memory_bytes_per_worker"
    )


def worker_class(config: RunnerConfig) -> Any:
    """Return the actor class with each worker's share of a machine."""
    options: dict[str, Any] = {
        "num_gpus": _gpus(config),
        "num_cpus": config.cpus_per_worker,
        "memory": config.memory_bytes_per_worker,
        "max_restarts": 0,
        "max_task_retries": 0,
        "concurrency_groups": {"progress": 1, "shards": MAX_SHARDS_AT_ONCE},
        # Not torch.set_num_threads, which holds for the calling thread only; Ray runs shards in another.
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(config.cpus_per_worker)}},
    }
    return ray.remote(**options)(StageWorker)


def _gpus(config: RunnerConfig) -> float:
    """Return a worker's share of GPUs: none where the cluster has none."""
    return config.gpus_per_worker if ray.cluster_resources().get("GPU") else 0
