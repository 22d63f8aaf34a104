"""What to do when a device's memory is full: rung by rung, each of which changes no mask.

1. Cached memory is given back, and the batch is computed in halves; later ones are no larger than these.
2. Where a single frame or object does not fit: nothing is encoded ahead any more, and the past of objects is
   kept on the host.
3. Then it is a fault of the attempt; what comes next is not the engine's to decide.
"""

import gc
import logging
from collections.abc import Callable
from typing import Any

import torch

HALVED, ON_HOST = "smaller_batches", "state_on_host"

logger = logging.getLogger(__name__)


class Relief:
    """Which rungs were taken, and what follows from that; shared by the threads of one engine."""

    def __init__(self, keep_on_host: Callable[[], None]):
        """`keep_on_host` is called when the second rung is taken."""
        self._keep_on_host = keep_on_host
        self.largest: dict[str, int] = {}  # batch that fitted, by what was computed
        self.rungs: list[str] = []

    @property
    def on_host(self) -> bool:
        return ON_HOST in self.rungs

    def limited(self, kind: str, at_once: int) -> int:
        """Return how many to compute together."""
        return min(at_once, self.largest.get(kind, at_once))

    def compute(self, kind: Callable[[list[Any]], list[Any]], items: list[Any]) -> list[Any]:
        """Compute items together, or in ever smaller parts.

        Args:
            kind: From items to as many answers; it may be repeated when it has failed.

        Raises:
            torch.OutOfMemoryError: Not even one item fits.
        """
        try:
            return kind(items)
        except torch.OutOfMemoryError:
            if len(items) == 1:
                if self.on_host:
                    raise
                self._take(ON_HOST, "the past of objects goes to the host, and no frame is encoded ahead")
                self._keep_on_host()
        release_cached_memory()  # only here, where the error no longer holds what the failed step had
        if len(items) == 1:
            return self.compute(kind, items)
        half = len(items) // 2
        self.largest[kind.__name__] = half
        self._take(HALVED, f"{kind.__name__}: at most {half} at once from now on")
        return self.compute(kind, items[:half]) + self.compute(kind, items[half:])

    def _take(self, rung: str, what: str) -> None:
        logger.warning("the device's memory is full; %s", what)
        if rung not in self.rungs:
            self.rungs.append(rung)


def release_cached_memory() -> None:
    """Give back what Python and torch hold without need."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
