"""A fault at any boundary of any write, and at any frame: run again, and the table is the undisturbed one."""

import random
import time

import pytest

from tests.faults.conftest import EVERY_FRAMES, SETTINGS
from tests.faults.jobs import Job, masks_of
from tests.faults.outcomes import outcome

PLACES = 90  # more than a run reaches: the last ones find a run that ends before the fault
FAULTS = {
    "KILL": "`kill -9` of the driver",
    "TERM": "SIGTERM to the driver",
    "SEGV": "segmentation fault",
    "disk": "disk full, once",
    "memory": "MemoryError",
    "gpu": "CUDA out of memory",
}


def a_few(action, count):
    """Return seeded places for one fault: some for every test run, all of them for `make chaos`."""
    few = set(random.Random(action).sample(range(1, 76), count))
    return [
        pytest.param(action, place, marks=[] if place in few else pytest.mark.chaos)
        for place in range(1, PLACES)
        if place in few or action in ("KILL", "TERM") or place % 3 == 0
    ]


CASES = [
    *a_few("KILL", 6),
    *a_few("TERM", 2),
    *a_few("SEGV", 1),
    *a_few("disk", 2),
    *a_few("memory", 1),
    *a_few("gpu", 1),
]


@pytest.mark.parametrize(("action", "place"), CASES)
def test_run_again_the_table_is_that_of_an_undisturbed_run(
    calm, small_dataset, tmp_path, outcomes, action, place
):
    expected, _ = calm
    job = Job(small_dataset, str(tmp_path / "run"), SETTINGS)
    log, trace, once = (tmp_path / name for name in ("log", "trace", "once"))
    fault = f"{action}:*:{place}:{once};trace:frame:0:{trace}"
    started = time.monotonic()
    code = job.go(log, SAM2_BATCH_FAULT=fault)
    if code != 0:
        started = time.monotonic()
        assert job.go(log, SAM2_BATCH_FAULT=fault) == 0, log.read_text()
    seconds = time.monotonic() - started

    computed, frames = len(trace.read_text().splitlines()), len({(v, f) for v, _, f in expected})
    if once.exists():
        outcomes.add(
            outcome(FAULTS[action], expected, masks_of(tmp_path / "run"), computed - frames, seconds)
        )
    assert masks_of(tmp_path / "run") == expected
    # One interval, and the frame that was being computed, of each video under way: here that is one.
    assert computed - frames <= 2 * EVERY_FRAMES
    before = trace.read_text()
    assert job.go(log, SAM2_BATCH_FAULT=fault) == 0
    assert trace.read_text() == before, "a further run computed something"
    assert not list((tmp_path / "run" / "quarantine").glob("*"))
    assert not list((tmp_path / "run" / "_work").glob("*/*"))
