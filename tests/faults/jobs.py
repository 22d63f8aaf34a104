"""Runs of the real job, each in a process of its own that is forked from one that has imported it all."""

import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.work.run_folder import RunFolder
from tests.clips import SQUARE_BOX, box, moving_shapes, write_manifest, write_video

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.preload"])

Table = dict[tuple[str, int, int], str]  # digest of a mask by video, object and frame


@dataclass(frozen=True)
class Job:
    """A local run over a small dataset; every checkpoint comes after a few frames."""

    dataset: Path
    run: str
    settings: Mapping[str, object]

    def start(self, environment: Mapping[str, str], log: Path) -> BaseProcess:
        process = FORKS.Process(
            target=_segment,
            args=(str(self.dataset), self.run, dict(self.settings), dict(environment), str(log)),
        )
        process.start()
        return process

    def go(self, log: Path, **environment: str) -> int:
        """Run to the end and return the exit code, negative for a signal."""
        process = self.start(environment, log)
        process.join(200)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"the run hangs; it said: {log.read_text()}")
        return process.exitcode


def _segment(dataset: str, run: str, settings: dict, environment: dict, log: str) -> None:
    os.environ.update(environment)
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = [f"manifest={dataset}/prompts.parquet", f"run={run}", "precision=fp32", "runner=local"]
    sys.argv = ["segment", *arguments, *(f"{name}={value}" for name, value in settings.items())]
    from jobs.edge import run_job
    from jobs.segment import JobConfig, main

    run_job("segment", JobConfig, main)


def make_dataset(folder: Path) -> Path:
    """Write two short videos, of two objects and of one, and their manifest."""
    for name, num_frames in (("one", 14), ("00012", 9)):
        write_video(folder / f"{name}.mp4", moving_shapes(num_frames))
    rows = [box("one", 1, label="disc"), box("one", 2, 4, SQUARE_BOX), box("00012", 9)]
    write_manifest(folder / "prompts.parquet", rows)
    return folder


def masks_of(run: Path | str) -> Table:
    """Return all masks of a run, a path or a URI; a row that is there twice is a fault."""
    table: Table = {}
    store = RunFolder.of(str(run)).store
    for file in store.sizes("masks"):
        for row in pq.read_table(pa.BufferReader(store.read(file))).to_pylist():
            key = row["video_id"], row["object_id"], row["frame_index"]
            assert key not in table, f"{file}: {key} is there twice"
            of_mask = {name: value for name, value in row.items() if name != "video_id"}
            table[key] = hashlib.sha256(repr(sorted(of_mask.items())).encode()).hexdigest()
    return table
