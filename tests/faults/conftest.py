"""What the fault tests share: one small dataset, its undisturbed masks, and where outcomes go."""

import os
from pathlib import Path

import pytest

from tests.faults.jobs import Job, Table, make_dataset, masks_of
from tests.faults.outcomes import Outcomes

EVERY_FRAMES = 3
SETTINGS = {"checkpoint.every_frames": EVERY_FRAMES, "engine.teams": 1}


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def calm(small_dataset, tmp_path_factory) -> tuple[Table, list[str]]:
    """The masks of an undisturbed run, and all places that it reached."""
    folder = tmp_path_factory.mktemp("calm")
    trace = folder / "trace"
    job = Job(small_dataset, str(folder / "run"), SETTINGS)
    assert job.go(folder / "log", SAM2_BATCH_FAULT=f"trace:*:0:{trace}") == 0, (folder / "log").read_text()
    return masks_of(folder / "run"), trace.read_text().splitlines()


@pytest.fixture(scope="session")
def outcomes() -> Outcomes:
    """Where outcomes go: into the file that OUTCOMES names, if it names one."""
    file = os.environ.get("OUTCOMES")
    return Outcomes(Path(file) if file else None)
