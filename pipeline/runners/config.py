"""Who repeats the stage, and on how much of which machines."""

from dataclasses import dataclass
from enum import Enum


class RunnerChoice(str, Enum):
    ray = "ray"
    local = "local"  # a plain loop in this process, which the other settings do not touch


@dataclass
class RunnerConfig:
    """Where the workers run, how many there are, and each one's share of a machine."""

    name: RunnerChoice = RunnerChoice.ray
    workers: int | None = None  # null: as many as the cluster has room for
    gpus_per_worker: float = 1.0  # 0.5 puts two on a GPU; 0 where the cluster has no GPU
    cpus_per_worker: int = 1  # also the number of threads that torch uses
    address: str | None = None  # of a cluster to join; null: RAY_ADDRESS, or else this machine alone
    progress_poll_seconds: float = 1.0

    def __post_init__(self):
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"runner.workers must be 1 or more, or null, got {self.workers}")
        if self.gpus_per_worker < 0 or (self.gpus_per_worker > 1 and self.gpus_per_worker % 1):
            raise ValueError(
                f"runner.gpus_per_worker must be 0 to 1, or a whole number, got {self.gpus_per_worker}"
            )
        if self.cpus_per_worker < 1:
            raise ValueError(f"runner.cpus_per_worker must be 1 or more, got {self.cpus_per_worker}")
        if self.progress_poll_seconds <= 0:
            raise ValueError(
                f"runner.progress_poll_seconds must be above 0, got {self.progress_poll_seconds}"
            )
