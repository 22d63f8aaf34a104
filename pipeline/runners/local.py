"""Many shards in this process: as many at a time as the stage takes, each in a thread of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Queue

from pipeline.errors import DeviceFailed, FaultClass, Stopped
from pipeline.records import Shard, ShardReport
from pipeline.runners.guard import MakeStage, Stage, run_guarded
from pipeline.runners.progress import Progress
from pipeline.stages.on_frames import OnFrames
from pipeline.work.ledger import Ledger
from pipeline.work.shards import longest_first

# What a thread has to tell: a final report, an error that ends the run, or a call for the main thread.
Event = ShardReport | BaseException | Callable[[], None]


def run_local(
    make_stage: MakeStage,
    shards: Sequence[Shard],
    ledger: Ledger,
    progress: Progress,
    grace_seconds: float,
) -> Iterator[ShardReport]:
    """Yield one final report a shard, DONE or QUARANTINED, as they end.

    A crash of the process, unlike under Ray, ends the run; the same command goes on from there. When the
    generator is closed, by Ctrl-C too, what is under way is stored first, if that takes no longer than
    `grace_seconds`.

    Raises:
        StorageError: Storage failed at every attempt.
        Exception: Whatever `make_stage` raises.
    """
    if not shards:
        return
    stage = make_stage()
    followers = _Followers(stage, shards, ledger, progress)
    try:
        for report in followers.reports():
            progress.finish(report)
            yield report
    finally:
        followers.stop(grace_seconds)
        stage.close()


class _Followers:
    """Threads that take shards, the longest first, and see each through all its attempts."""

    def __init__(self, stage: Stage, shards: Sequence[Shard], ledger: Ledger, progress: Progress):
        self.stage, self.ledger, self.progress = stage, ledger, progress
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

    def stop(self, grace_seconds: float) -> None:
        """Let every thread store what it has at its next frame and stop, and wait for that."""
        self.stopping.set()
        deadline = time.monotonic() + grace_seconds
        for thread in self.threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _follow(self) -> None:
        try:
            while self.queue and not self.stopping.is_set():
                self.events.put(self._run_until_settled(self.queue.popleft()))
        except (Stopped, IndexError):  # another thread took the last one
            return
        except BaseException as error:
            self.events.put(error)

    def _run_until_settled(self, shard: Shard) -> ShardReport:
        while True:
            attempt = self.ledger.begin(shard)
            report = run_guarded(self.stage, shard, attempt, self._on_frames(shard))
            final = self.ledger.settle(report, attempt)
            if final is not None:
                return final
            fault_class = report.problem and report.problem.fault_class
            if fault_class is FaultClass.STOPPED:
                raise Stopped
            if fault_class is FaultClass.DEVICE:
                raise DeviceFailed(f"{report.problem and report.problem.message}; run again to go on")
            self.events.put(partial(self.progress.note_retry, report))
            if self.stopping.wait(self.ledger.pause_seconds(shard)):
                raise Stopped

    def _on_frames(self, shard: Shard) -> OnFrames:
        def on_frames(frames: int | None) -> None:
            if self.stopping.is_set():
                raise Stopped
            if frames is None:
                return
            self.events.put(partial(self.progress.advance, shard.id, frames))

        return on_frames
