"""Running jobs as users do: a command in a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.clips import SQUARE_BOX, box, moving_shapes, write_manifest, write_video
from tests.conftest import REPOSITORY


def start_job(name: str, *arguments: object, **environment: str) -> subprocess.Popen:
    """Start `python -m jobs.<name> ...` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", f"jobs.{name}", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_job(name: str, *arguments: object, **environment: str) -> tuple[int, str]:
    """Run a job to its end; return its exit code and all that it said."""
    process = start_job(name, *arguments, **environment)
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.02)


def masks_in(run: Path) -> dict[str, list[dict]]:
    """Return all rows of a run by file."""
    files = sorted((run / "masks").rglob("*.parquet"))
    return {str(f.relative_to(run)): pq.read_table(f, partitioning=None).to_pylist() for f in files}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """A folder of three short videos and their manifest: two, one and one objects."""
    folder = tmp_path_factory.mktemp("dataset")
    for name, num_frames in (("long", 45), ("middle", 25), ("00012", 14)):
        write_video(folder / f"{name}.mp4", moving_shapes(num_frames))
    rows = [
        box("long", 1, label="disc"),
        box("long", 2, 6, SQUARE_BOX),
        box("middle"),
        box("00012", 9, 2, SQUARE_BOX),
    ]
    write_manifest(folder / "prompts.parquet", rows)
    return folder


@pytest.fixture(scope="session")
def undisturbed(dataset, tmp_path_factory) -> Path:
    """The run folder of a plain local run over the dataset."""
    run = tmp_path_factory.mktemp("undisturbed")
    code, output = run_job("segment", *segment(dataset, run))
    assert code == 0, output
    return run


def segment(dataset: Path, run: Path, *more: str) -> list[str]:
    """Return the arguments of an exact, local run with small checkpoints."""
    return [
        f"manifest={dataset / 'prompts.parquet'}",
        f"run={run}",
        "precision=fp32",
        "runner=local",
        "checkpoint.every_frames=10",
        *more,
    ]
