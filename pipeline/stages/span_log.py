"""What an attempt has done so far: rows in memory, spans and checkpoints in its folder."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa

from pipeline.engine.config import Directions
from pipeline.engine.cpu_tuning import use_one_thread
from pipeline.engine.frame_step import FrameOutput
from pipeline.engine.state import VideoState
from pipeline.errors import Stopped
from pipeline.outputs.checkpoints import (
    CheckpointConfig,
    span_between,
    span_name,
    write_checkpoint,
)
from pipeline.outputs.mask_table import merge_spans, write_span
from pipeline.records import Direction
from pipeline.storage.files import sha256_of
from pipeline.storage.workspace import Workspace
from pipeline.work.commits import TABLE

FRAMES_BEHIND = 16  # that rows may be late: until then they hold logits on the device

Rows = list[Future[pa.RecordBatch]]


class SpanLog:
    """Collects a shard's rows and stores them every so often, together with the state.

    Storing goes on in a thread of its own; the next one waits for it, so that no more than two
    intervals are in memory.
    """

    def __init__(
        self,
        workspace: Workspace,
        fingerprint: str,
        config: CheckpointConfig,
        spans: Mapping[str, str],
        state: VideoState,
    ):
        """Go on after `spans` (SHA-256 by file name), which hold all masks before the state's next frame."""
        self.workspace = workspace
        self.fingerprint = fingerprint
        self.config = config
        self.spans = dict(spans)
        self.start = state.next_frame
        self.rows: Rows = []
        self._writer = ThreadPoolExecutor(1, "checkpoint", initializer=use_one_thread)
        self._written: Future[None] = Future()
        self._written.set_result(None)
        self._last_stored = time.monotonic()

    def __enter__(self) -> "SpanLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()

    def add(self, rows: Future[pa.RecordBatch], state: VideoState) -> None:
        """Take the rows of one frame, now or when they are done; every so often, store them and the state."""
        self.rows.append(rows)
        if len(self.rows) > FRAMES_BEHIND:
            self.rows[-FRAMES_BEHIND].result()
        seconds = time.monotonic() - self._last_stored
        if len(self.rows) >= self.config.every_frames or seconds >= self.config.every_seconds:
            self.store(state)

    def store(self, state: VideoState) -> None:
        """Make everything up to now durable, soon: masks first, then the state."""
        self.flush()
        rows, span = self._take_rows(state)
        stored = (state.position, state.next_frame - state.direction.step, state.to_tensors())
        self._written = self._writer.submit(self._store, rows, span, *stored)
        self._last_stored = time.monotonic()

    @contextmanager
    def storing_when_stopped(self, state: VideoState) -> Iterator[None]:
        """Make what the block has done durable if it is stopped, also while it waits for a frame."""
        try:
            yield
        except Stopped:
            if self.rows:
                self.store(state)
            self.flush()
            raise

    def flush(self) -> None:
        """Wait until all that was to be stored is durable; raise what kept it from that."""
        self._written.result()

    def finish(self, state: VideoState, metadata: Mapping[str, str]) -> tuple[str, int, int]:
        """Merge all spans into the attempt's table; return its SHA-256, bytes and number of rows."""
        self.flush()
        self._write_span(*self._take_rows(state))
        table = self.workspace.folder / TABLE
        rows = merge_spans([self.workspace.folder / name for name in sorted(self.spans)], table, metadata)
        self.workspace.keep(TABLE)
        return sha256_of(table), table.stat().st_size, rows

    def _take_rows(self, state: VideoState) -> tuple[Rows, tuple[int, int]]:
        taken, self.rows = (self.rows, span_between(self.start, state.next_frame)), []
        self.start = state.next_frame
        return taken

    def _store(
        self, rows: Rows, frames: tuple[int, int], position: int, last_frame: int, tensors: Mapping
    ) -> None:
        self._write_span(rows, frames)
        checkpoint = (position, last_frame, self.spans, tensors)
        write_checkpoint(self.workspace, self.fingerprint, *checkpoint, self.config)

    def _write_span(self, rows: Rows, frames: tuple[int, int]) -> None:
        if not rows:
            return
        span = self.workspace.folder / span_name(*frames)
        write_span(span, [row.result() for row in rows])
        self.workspace.keep(span.name)
        self.spans[span.name] = sha256_of(span)


def written_by_the_other_pass(state: VideoState, output: FrameOutput, directions: Directions) -> list[int]:
    """Return the objects of a frame whose rows the pass forward writes: both passes have the first prompt."""
    if state.direction is Direction.FORWARD or directions is Directions.backward:
        return []
    return [i for i in output.object_ids if state.objects[i].first_frame == output.frame_index]
