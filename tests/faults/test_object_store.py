"""A run whose folder is in S3, behind a network that does all that networks do."""

import random
import threading
import time

import pytest

from tests.faults.conftest import EVERY_FRAMES, SETTINGS
from tests.faults.jobs import Job, masks_of
from tests.faults.outcomes import outcome
from tests.one_at_a_time import ONE_AT_A_TIME
from tests.storage.fault_proxy import LOSE_REPLY, PASS, REFUSE, RESET, fault_proxy
from tests.storage.s3 import leads_to, use_endpoint

PATIENT = {**SETTINGS, "storage.silent_seconds": 2, "storage.retry_seconds": 30}
HASTY = {**SETTINGS, "storage.silent_seconds": 1, "storage.retry_seconds": 1}


def computed_twice(trace, expected):
    return len(trace.read_text().splitlines()) - len({(video, frame) for video, _, frame in expected})


@pytest.mark.parametrize("seed", [1, *(pytest.param(s, marks=pytest.mark.chaos) for s in range(2, 9))])
def test_refusals_resets_and_lost_replies_change_nothing(
    calm, small_dataset, s3, tmp_path, monkeypatch, outcomes, seed
):
    expected, _ = calm
    turns = random.Random(seed)
    run, trace = f"{s3.new_bucket()}/run", tmp_path / "trace"
    with fault_proxy(s3.endpoint) as proxy:
        proxy.fate = lambda _: turns.choices([PASS, REFUSE, RESET, LOSE_REPLY], [85, 5, 5, 5])[0]
        use_endpoint(monkeypatch, proxy.endpoint)
        job, started = Job(small_dataset, run, PATIENT), time.monotonic()
        code = job.go(tmp_path / "log", SAM2_BATCH_FAULT=f"trace:frame:0:{trace}", **leads_to(proxy.endpoint))
        assert code == 0, (tmp_path / "log").read_text()
        seconds = time.monotonic() - started
        assert {LOSE_REPLY, REFUSE, RESET} <= {fate for _, fate in proxy.done}
        proxy.fate = lambda _: PASS
        found = masks_of(run)
    fault = "S3: 5 % of requests refused, 5 % reset, 5 % replies lost"
    outcomes.add(outcome(fault, expected, found, computed_twice(trace, expected), seconds))


@pytest.mark.parametrize(
    ("server", "place"),
    [
        *(pytest.param("s3", place, marks=ONE_AT_A_TIME) for place in (9, 33)),
        pytest.param("gcs", 21, marks=ONE_AT_A_TIME),
        *(pytest.param("s3", p, marks=[ONE_AT_A_TIME, pytest.mark.chaos]) for p in range(1, 120, 6)),
        *(pytest.param("gcs", p, marks=[ONE_AT_A_TIME, pytest.mark.chaos]) for p in range(4, 120, 12)),
    ],
)
def test_killed_between_two_requests_the_next_driver_goes_on(
    calm, small_dataset, tmp_path, outcomes, request, server, place
):
    expected, _ = calm
    store = request.getfixturevalue(server)
    run, trace, once = f"{store.new_bucket()}/run", tmp_path / "trace", tmp_path / "once"
    fault = f"KILL:*:{place}:{once};trace:frame:0:{trace}"
    environment = {"SAM2_BATCH_FAULT": fault, **store.environment}
    job, started = Job(small_dataset, run, PATIENT), time.monotonic()
    if job.go(tmp_path / "log", **environment) != 0:
        started = time.monotonic()
        assert job.go(tmp_path / "log", **environment) == 0, (tmp_path / "log").read_text()
    seconds = time.monotonic() - started
    twice = computed_twice(trace, expected)
    if once.exists():
        outcomes.add(
            outcome(f"`kill -9` of a driver on {server.upper()}", expected, masks_of(run), twice, seconds)
        )
    assert masks_of(run) == expected
    assert twice <= 2 * EVERY_FRAMES


def test_a_server_killed_in_the_middle_stops_the_run_which_goes_on_later(
    calm, small_dataset, s3, tmp_path, outcomes
):
    expected, _ = calm
    run, trace = f"{s3.new_bucket()}/run", tmp_path / "trace"
    environment = {"SAM2_BATCH_FAULT": f"trace:frame:0:{trace}", **s3.environment}
    log = tmp_path / "log"
    process = Job(small_dataset, run, HASTY).start(environment, log)
    while not (trace.exists() and len(trace.read_text().splitlines()) >= 7):
        assert process.is_alive(), log.read_text()
        time.sleep(0.01)
    s3.do("kill")
    process.join(120)
    s3.do("again")
    assert process.exitcode == 3, log.read_text()
    assert "StorageError" in log.read_text()
    started = time.monotonic()
    assert Job(small_dataset, run, HASTY).go(log, **environment) == 0, log.read_text()
    twice = computed_twice(trace, expected)
    seconds = time.monotonic() - started
    outcomes.add(outcome("S3 server killed, later started again", expected, masks_of(run), twice, seconds))


def test_a_server_that_is_away_for_a_while_is_waited_for(calm, small_dataset, s3, tmp_path, outcomes):
    expected, _ = calm
    run, trace, log = f"{s3.new_bucket()}/run", tmp_path / "trace", tmp_path / "log"
    environment = {"SAM2_BATCH_FAULT": f"trace:frame:0:{trace}", **s3.environment}
    process = Job(small_dataset, run, PATIENT).start(environment, log)
    while not (trace.exists() and len(trace.read_text().splitlines()) >= 7):
        assert process.is_alive(), log.read_text()
        time.sleep(0.01)
    started = time.monotonic()
    s3.do("kill")
    back = threading.Timer(3, s3.do, ["again"])
    back.start()
    process.join(120)
    back.join()
    assert process.exitcode == 0, log.read_text()
    twice = computed_twice(trace, expected)
    seconds = time.monotonic() - started
    outcomes.add(outcome("S3 server away for some seconds", expected, masks_of(run), twice, seconds))
    assert twice == 0
