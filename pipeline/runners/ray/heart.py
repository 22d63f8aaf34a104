"""Workers hear that their driver lives, whatever its main thread waits for."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ray.exceptions import RayError


class Heart:
    """Tells workers now and then, in a thread of its own, while it is entered as a context."""

    def __init__(self, actors: Callable[[], Iterable[Any]], every_seconds: float, silent_seconds: float):
        """Beat nothing yet.

        Args:
            silent_seconds: After so long without a beat, workers end by themselves.
        """
        self._actors, self._every_seconds, self._silent_seconds = actors, every_seconds, silent_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._last_beat = time.monotonic()
        self._stood_still_until = -math.inf

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=10)

    def stood_still(self, since: float) -> bool:
        """Say whether, since a moment, the driver or all of its machine stood still for too long."""
        silent_now = time.monotonic() - self._last_beat > self._silent_seconds
        return silent_now or self._stood_still_until >= since

    def _beat(self) -> None:
        while not self._over.wait(self._every_seconds):
            now = time.monotonic()
            if now - self._last_beat > self._silent_seconds:
                self._stood_still_until = now
            self._last_beat = now
            for actor in self._actors():
                with suppress(RayError):  # a death is noticed by the answer to `run`
                    actor.hear.remote()
