"""Who repeats the stage, and on how much of which machines."""

from dataclasses import dataclass
from enum import Enum


class RunnerChoice(str, Enum):
    ray = "ray"
    local = "local"  # a plain loop in this process, which asks for `grace_seconds` alone


@dataclass
class RunnerConfig:
    """Where the workers run, how many there are, and each one's share of a machine."""

    name: RunnerChoice = RunnerChoice.ray
    workers: int | None = None  # null: as many as the cluster has room for
    gpus_per_worker: float = 1.0  # 0.5 puts two on a GPU; 0 where the cluster has no GPU
    cpus_per_worker: int = 1  # also the number of threads that torch uses
    memory_bytes_per_worker: int | None = None  # host memory: Ray plans with it, and no worker may pass it
    shards_per_worker: int | None = None  # then a fresh process takes over: for decoders that leak
    address: str | None = None  # of a cluster to join; null: RAY_ADDRESS, or else this machine alone
    wait_seconds: float = 900.0  # for a joined cluster to have room for a worker, as machines start
    progress_poll_seconds: float = 1.0
    grace_seconds: float = 30.0  # when stopped by a signal: for storing what is under way
    stuck_seconds: float = 1800.0  # in which nothing gets on: the shard's worker is killed
    silent_seconds: float = 120.0  # without an answer: the worker is killed, or the driver is gone

    def __post_init__(self):
        for name in ("workers", "memory_bytes_per_worker", "shards_per_worker"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"runner.{name} must be 1 or more, or null, got {value}")
        if self.gpus_per_worker < 0 or (self.gpus_per_worker > 1 and self.gpus_per_worker % 1):
            raise ValueError(
                f"runner.gpus_per_worker must be 0 to 1, or a whole number, got {self.gpus_per_worker}"
            )
        if self.cpus_per_worker < 1:
            raise ValueError(f"runner.cpus_per_worker must be 1 or more, got {self.cpus_per_worker}")
        for name in (
            "wait_seconds",
            "progress_poll_seconds",
            "grace_seconds",
            "stuck_seconds",
            "silent_seconds",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"runner.{name} must be above 0, got {getattr(self, name)}")
