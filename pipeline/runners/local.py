"""Many shards in this process: as many at a time as the stage takes, each in a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Queue

from pipeline.records import Shard, ShardReport
from pipeline.runners.guard import MakeStage, OnFrames, Stage, run_guarded
from pipeline.runners.progress import Progress
from pipeline.work.attempts import RetryConfig, settle
from pipeline.work.shards import longest_first

# What a thread has to tell: a final report, an error that ends the run, or a call for the main thread.
Event = ShardReport | BaseException | Callable[[], None]


class Stopped(BaseException):
    """The run is over; no shard's fault."""


def run_local(
    make_stage: MakeStage, shards: Sequence[Shard], retry: RetryConfig, progress: Progress
) -> Iterator[ShardReport]:
    """Yield one final report a shard, DONE or QUARANTINED, as they end.

    A crash of the process, unlike under Ray, ends the run; the same command goes on from there.

    Raises:
        StorageError: Storage failed at every attempt.
        Exception: Whatever `make_stage` raises.
    """
    if not shards:
        return
    stage = make_stage()
    followers = _Followers(stage, shards, retry, progress)
    try:
        for report in followers.reports():
            progress.finish(report)
            yield report
    finally:
        followers.stop()


class _Followers:
    """Threads that take shards, the longest first, and see each through all its attempts."""

    def __init__(self, stage: Stage, shards: Sequence[Shard], retry: RetryConfig, progress: Progress):
        self.stage, self.retry, self.progress = stage, retry, progress
        self.queue = deque(longest_first(shards))
        self.events: Queue[Event] = Queue()
        self.stopping = threading.Event()
        self.open = len(shards)
        self.threads = [
            threading.Thread(target=self._follow, name=f"shard-{i}", daemon=True)
            for i in range(min(stage.shards_at_once, len(shards)))
        ]

    def reports(self) -> Iterator[ShardReport]:
        """Yield final reports; progress is told from this thread alone."""
        for thread in self.threads:
            thread.start()
        while self.open:
            event = self.events.get()
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, ShardReport):
                self.open -= 1
                yield event
            else:
                event()

    def stop(self) -> None:
        """Let every thread stop at its next frame, and wait for that."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=10)

    def _follow(self) -> None:
        try:
            while self.queue and not self.stopping.is_set():
                self.events.put(self._run_until_settled(self.queue.popleft()))
        except (Stopped, IndexError):  # another thread took the last one
            return
        except BaseException as error:
            self.events.put(error)

    def _run_until_settled(self, shard: Shard) -> ShardReport:
        attempt = 1
        while True:
            report = run_guarded(self.stage, shard, attempt, self._on_frames(shard))
            final = settle(report, self.retry)
            if final is not None:
                return final
            self.events.put(partial(self.progress.note_retry, report))
            attempt += 1

    def _on_frames(self, shard: Shard) -> OnFrames:
        def on_frames(frames: int) -> None:
            if self.stopping.is_set():
                raise Stopped
            self.events.put(partial(self.progress.advance, shard.id, frames))

        return on_frames
