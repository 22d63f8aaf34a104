"""Workers hear that their driver lives, whatever its main thread waits for."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ray.exceptions import RayError


class Heart:
    """Tells workers now and then, in a thread of its own, while it is entered as a context."""

    def __init__(self, actors: Callable[[], Iterable[Any]], every_seconds: float):
        self._actors, self._every_seconds = actors, every_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._last_beat = time.monotonic()
        self._paused: tuple[float, float] = (0.0, 0.0)  # seconds of the longest pause, and its end

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=10)

    def paused_seconds(self, since: float) -> float:
        """Return for how long at most, since a moment, the driver or all of its machine stood still."""
        now = time.monotonic()
        return max(now - self._last_beat, self._paused[0] if self._paused[1] >= since else 0.0)

    def _beat(self) -> None:
        while not self._over.wait(self._every_seconds):
            now = time.monotonic()
            self._paused = max(self._paused, (now - self._last_beat, now))
            self._last_beat = now
            for actor in self._actors():
                with suppress(RayError):  # a death is noticed by the answer to `run`
                    actor.hear.remote()
