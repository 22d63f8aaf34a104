"""How far a run is: live on a terminal, a line now and then in a log; at the end, what happened."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from pipeline.records import Shard, ShardReport, ShardStatus

logger = logging.getLogger(__name__)

MAX_QUARANTINED_SHOWN = 20


@dataclass
class _Running:
    first_frames: int  # when first heard of; after a resume these were not computed now
    frames: int


class Progress:
    """Counts frames, and shows them while it is entered as a context.

    Totals come from the containers' frame counts, so they are about right, no more.
    """

    def __init__(
        self,
        shards: Iterable[Shard],
        log_every_seconds: float = 30.0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._hints = {shard.id: max(1, shard.num_frames_hint) for shard in shards}
        self._total_frames = self._unfinished_frames = sum(self._hints.values())
        self._finished_computed_frames = 0
        self._running: dict[str, _Running] = {}
        self._reports: list[ShardReport] = []
        self._log_every_seconds = log_every_seconds
        self._clock = clock
        self._started = self._last_logged = clock()
        console = console or Console(stderr=True)
        self._live = console.is_terminal
        self._bar = Bar(
            BarColumn(), TextColumn("{task.description}"), console=console, disable=not self._live
        )
        self._task = self._bar.add_task(self.line(), total=self._total_frames)

    def __enter__(self):
        self._started = self._last_logged = self._clock()
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()
        for line in self.summary():
            self.note(line)

    def advance(self, shard_id: str, frames: int) -> None:
        """Take note that `frames` frames of a running shard have masks by now."""
        running = self._running.get(shard_id)
        if running is None or frames < running.frames:
            self._running[shard_id] = _Running(frames, frames)
            if running is None and frames:
                self.note(f"{shard_id}: {frames:,} frames are stored already, going on from there")
        else:
            running.frames = frames
        self._show()

    def finish(self, report: ShardReport) -> None:
        """Take note of a shard's final report."""
        self._running.pop(report.shard_id, None)
        self._unfinished_frames -= self._hints[report.shard_id]
        self._finished_computed_frames += report.frames_computed
        self._reports.append(report)
        self._show()

    def note_retry(self, report: ShardReport) -> None:
        """Tell that a shard failed and is tried again."""
        self.note(f"trying again: {_failure(report)}")

    def note(self, text: str) -> None:
        """Tell something worth knowing, without disturbing the live display."""
        if self._live:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            logger.info(text)

    def line(self) -> str:
        """Return the state of the run in one line."""
        left_frames = self._left_frames()
        return (
            f"{self._total_frames - left_frames:,} of about {self._total_frames:,} frames, "
            f"{len(self._reports)} of {len(self._hints)} shards, "
            f"{self._frames_per_second():.1f} frames/s, {self._time_left(left_frames)}"
        )

    def summary(self) -> list[str]:
        """Return what happened, line by line."""
        given_up = [r for r in self._reports if r.status is ShardStatus.QUARANTINED]
        unfinished = len(self._hints) - len(self._reports)
        gpu_memory_share = max((report.gpu_memory_share for report in self._reports), default=0.0)
        shown = given_up[:MAX_QUARANTINED_SHOWN]
        lines = [f"quarantined: {_failure(report)}" for report in shown]
        if len(given_up) > len(shown):
            lines.append(f"quarantined: {len(given_up) - len(shown)} more")
        return [
            *lines,
            f"{len(self._reports) - len(given_up)} of {len(self._hints)} shards done, "
            f"{len(given_up)} quarantined, {unfinished} unfinished",
            f"{sum(r.frames for r in [*self._reports, *self._running.values()]):,} frames have masks; "
            f"{self._computed_frames():,} computed in {self._elapsed_seconds():.1f} s "
            f"({self._frames_per_second():.1f} frames/s)",
            *([f"up to {gpu_memory_share:.0%} of a GPU's memory was taken"] if gpu_memory_share else []),
        ]

    def _left_frames(self) -> int:
        return self._unfinished_frames - sum(
            min(running.frames, self._hints[shard_id]) for shard_id, running in self._running.items()
        )

    def _computed_frames(self) -> int:
        running = self._running.values()
        return self._finished_computed_frames + sum(r.frames - r.first_frames for r in running)

    def _elapsed_seconds(self) -> float:
        return self._clock() - self._started

    def _frames_per_second(self) -> float:
        return self._computed_frames() / max(self._elapsed_seconds(), 1e-9)

    def _time_left(self, left_frames: int) -> str:
        speed = self._frames_per_second()
        if not speed:
            return "time left unknown"
        return f"about {timedelta(seconds=round(left_frames / speed))} left"

    def _show(self) -> None:
        if self._live:
            done_frames = self._total_frames - self._left_frames()
            self._bar.update(self._task, completed=done_frames, description=self.line())
        elif self._clock() - self._last_logged >= self._log_every_seconds:
            self._last_logged = self._clock()
            logger.info(self.line())


def _failure(report: ShardReport) -> str:
    if report.problem is None:
        return f"{report.shard_id} after attempt {report.attempts}"
    first_line = report.problem.message.strip().partition("\n")[0]
    return (
        f"{report.shard_id} after attempt {report.attempts}, {report.problem.fault_class.value}: {first_line}"
    )
