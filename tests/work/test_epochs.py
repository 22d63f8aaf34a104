"""One driver a run folder: a second one says so and stops, or takes over, which the first notices."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from pipeline.errors import RunInUse, StorageError, UsageError
from pipeline.storage.store import StorageConfig
from pipeline.work.epochs import (
    DriverConfig,
    claim,
    refuse_careless_store,
    refuse_foreign_folder,
    reigning,
)
from pipeline.work.run_folder import RunFolder, as_json
from tests.storage.s3 import use_endpoint

QUICK = DriverConfig(beat_seconds=0.05, silent_seconds=0.6)


@pytest.fixture
def run(tmp_path):
    return RunFolder.of(str(tmp_path / "run"))


def write_claim(run, epoch, **changes):
    run.store.write(f"{run.epoch(epoch.number)}.json", as_json(asdict(replace(epoch, **changes))))


def test_epochs_rise_and_only_the_newest_is_not_superseded(run):
    epochs = []
    for _ in range(3):
        epochs.append(claim(run, QUICK))
        with reigning(run, epochs[-1], QUICK):
            pass
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert [run.superseded(epoch.number) for epoch in epochs] == [True, True, False]


def test_a_place_for_no_folder_is_not_called_a_bucket():
    with pytest.raises(UsageError, match="^/proc/none: no folder can be made here"):
        refuse_careless_store(RunFolder.of("/proc/none"), StorageConfig())


def test_a_driver_of_this_machine_that_lives_keeps_the_run(run):
    claim(run, QUICK)
    with pytest.raises(RunInUse, match=rf"process {os.getpid()} on {socket.gethostname()}.*take_over=true"):
        claim(run, QUICK)


def test_a_driver_that_was_killed_is_taken_over_from_at_once(run):
    epoch = claim(run, QUICK)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_claim(run, epoch, pid=dead.pid)
    started = time.monotonic()
    assert claim(run, replace(QUICK, silent_seconds=60)).number == 2
    assert time.monotonic() - started < 5


def test_a_process_id_that_was_used_again_is_another_process(run):
    epoch = claim(run, QUICK)
    write_claim(run, epoch, process_started=psutil.Process().create_time() - 100)
    assert claim(run, QUICK).number == 2


def test_a_driver_of_another_machine_is_told_by_its_beat(run):
    epoch = claim(run, QUICK)
    write_claim(run, epoch, machine="another", host="elsewhere")
    over = threading.Event()

    def live():
        beats = 0
        while not over.wait(0.05):
            beats += 1
            run.store.write(f"{run.epoch(epoch.number)}.beat", str(beats).encode())

    thread = threading.Thread(target=live)
    thread.start()
    with pytest.raises(RunInUse, match="on elsewhere"):
        claim(run, QUICK)
    over.set()
    thread.join()
    assert claim(run, QUICK).number == 2


def test_a_driver_that_is_taken_over_from_notices_and_stops(run):
    epoch = claim(run, QUICK)
    with pytest.raises(RunInUse, match="taken this run over"), reigning(run, epoch, QUICK):
        assert claim(run, replace(QUICK, take_over=True)).number == 2
        time.sleep(30)


def test_a_driver_that_ignores_ctrl_c_stops_all_the_same(run):
    """Shells start what ends in & so."""

    def end(*_):
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, end)
        epoch = claim(run, QUICK)
        with pytest.raises(RunInUse, match="taken this run over"), reigning(run, epoch, QUICK):
            claim(run, replace(QUICK, take_over=True))
            time.sleep(30)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_ctrl_c_stays_ctrl_c(run):
    with pytest.raises(KeyboardInterrupt), reigning(run, claim(run, QUICK), QUICK):
        raise KeyboardInterrupt


def test_of_many_drivers_at_once_each_epoch_has_one(run):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(claim(run, replace(QUICK, take_over=True)).number))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 9))


def test_masks_of_others_are_not_tidied_away(run):
    run.store.write("masks/mine.parquet", b"rows")
    with pytest.raises(UsageError, match="mine.parquet, which no run has made"):
        refuse_foreign_folder(run)
    claim(run, QUICK)
    refuse_foreign_folder(run)


def test_a_store_that_keeps_its_word_is_taken(run):
    refuse_careless_store(run, StorageConfig())
    assert run.store.sizes("") == {}


@pytest.fixture
def careless(tmp_path, monkeypatch):
    """The URI of a run in a server that takes every conditional write for an ordinary one."""
    rclone = Path(sys.executable).with_name("rclone")
    (tmp_path / "bucket").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["serve", "s3", tmp_path, "--addr", f"127.0.0.1:{port}", "--auth-key", "TESTKEY,TESTSECRET"]
    server = subprocess.Popen([rclone, *command], stderr=subprocess.DEVNULL)
    use_endpoint(monkeypatch, f"http://127.0.0.1:{port}")
    yield "s3://bucket/run"
    server.kill()
    server.wait()


def test_a_store_that_ignores_conditions_is_refused_unless_one_writer_is_promised(careless):
    run = RunFolder.of(careless)
    with pytest.raises(StorageError, match=r"If-None-Match.*storage\.single_writer=true"):
        refuse_careless_store(run, StorageConfig())
    refuse_careless_store(run, StorageConfig(single_writer=True))
