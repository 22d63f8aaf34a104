"""How a system of the comparison hands over its masks, and the watch that its speed is taken with."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch

from benchmarks.workload import Clip

Masks = Any  # (object, height, width) bool, a tensor on any device or an array


class Tick(NamedTuple):
    """What one step of a system found: one frame of one video, or of several at once."""

    frame_index: int
    masks: Mapping[int, Masks]  # by the video's place among the clips


class TickSystem(Protocol):
    """A system with its model in place."""

    def ticks(self, clips: Sequence[Clip]) -> Iterator[Tick]:
        """Yield the masks of every frame of every video, each video's frames in order."""
        ...


class Stopwatch:
    """Seconds to the first masks, and seconds of the frames that are timed."""

    def __init__(self, device: str):
        """Set out: the model is built next."""
        self.device = device
        self.start_up_seconds: float | None = None
        self.frames, self.seconds = 0, 0.0
        self._born = time.perf_counter()
        self._since: float | None = None

    @property
    def running(self) -> bool:
        return self._since is not None

    def started_up(self) -> None:
        """Note that everything is in place; only the first call counts."""
        if self.start_up_seconds is None:
            synchronize(self.device)
            self.start_up_seconds = time.perf_counter() - self._born

    def start(self) -> None:
        synchronize(self.device)
        self._since = time.perf_counter()

    def stop(self) -> None:
        if self._since is not None:
            synchronize(self.device)
            self.seconds += time.perf_counter() - self._since
            self._since = None

    def reset(self) -> None:
        """Forget the frames that were timed."""
        self.frames, self.seconds = 0, 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens in the block."""
        was_running = self.running
        self.stop()
        yield
        if was_running:
            self.start()


def synchronize(device: str) -> None:
    """Wait for all that was handed to the device."""
    if device == "cuda":
        torch.cuda.synchronize()
