"""What an attempt has done so far: rows in memory, spans and checkpoints in its folder."""

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa

from pipeline.engine.state import VideoState
from pipeline.outputs.checkpoints import CheckpointConfig, span_name, write_checkpoint
from pipeline.outputs.mask_table import merge_spans, write_span
from pipeline.storage import sha256_of
from pipeline.work.commits import TABLE

FRAMES_BEHIND = 16  # that rows may be late: until then they hold logits on the device


class SpanLog:
    """Collects a shard's rows and stores them every so many frames, together with the state."""

    def __init__(
        self, folder: Path, fingerprint: str, config: CheckpointConfig, spans: Mapping[str, str], start: int
    ):
        """Go on after `spans` (SHA-256 by file name), which hold all masks before frame `start`."""
        self.folder = folder
        self.fingerprint = fingerprint
        self.config = config
        self.spans = dict(spans)
        self.start = start
        self.rows: list[Future[pa.RecordBatch]] = []

    def add(self, rows: Future[pa.RecordBatch], state: VideoState) -> None:
        """Take the rows of one frame, now or when they are done; every so often, store them and the state."""
        self.rows.append(rows)
        if len(self.rows) > FRAMES_BEHIND:
            self.rows[-FRAMES_BEHIND].result()
        if len(self.rows) >= self.config.every_frames:
            self.store(state)

    def store(self, state: VideoState) -> None:
        """Make everything up to now durable: masks first, then the state."""
        self._store_rows(state.next_frame)
        write_checkpoint(
            self.folder,
            self.fingerprint,
            state.next_frame,
            self.spans,
            state.to_tensors(),
            self.config.keep,
        )

    def finish(self, stop: int, metadata: Mapping[str, str]) -> tuple[Path, int]:
        """Merge all spans into the attempt's table; return its path and the number of rows."""
        self._store_rows(stop)
        table = self.folder / TABLE
        return table, merge_spans([self.folder / name for name in self.spans], table, metadata)

    def _store_rows(self, stop: int) -> None:
        if not self.rows:
            return
        span = self.folder / span_name(self.start, stop)
        write_span(span, [rows.result() for rows in self.rows])
        self.spans[span.name] = sha256_of(span)
        self.start = stop
        self.rows = []
