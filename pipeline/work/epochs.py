"""Which driver works on a run folder: each start claims the next epoch, and the newest alone goes on.

    _run/epoch-000002.json      who claimed it, created once
    _run/epoch-000002.beat      renewed while that driver lives
    _run/epoch-000002.ended     it ended in order

Whether a driver on another machine lives is told by its beat: it changes or it does not, whatever the
clocks say. Correctness does not hang on this: markers are created once, whoever writes.
"""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipeline.errors import RunInUse, StorageError, UsageError
from pipeline.storage.store import StorageConfig
from pipeline.storage.uris import local_path
from pipeline.work.run_folder import RunFolder, as_json

logger = logging.getLogger(__name__)


@dataclass
class DriverConfig:
    """What a driver does about another one on the same run folder."""

    take_over: bool = False  # go on in its place: it stops when it notices
    beat_seconds: float = 10.0
    silent_seconds: float = 45.0  # a driver of another machine that shows no beat for so long is gone

    def __post_init__(self):
        if not 0 < self.beat_seconds < self.silent_seconds:
            raise ValueError(
                "driver.beat_seconds must be above 0 and below driver.silent_seconds, "
                f"got {self.beat_seconds} and {self.silent_seconds}"
            )


@dataclass(frozen=True)
class Epoch:
    """One driver's time."""

    number: int  # from 1, rising
    host: str  # for people
    machine: str  # tells machines apart, and what sees other processes on one
    pid: int
    process_started: float  # by the machine's own clock: process ids are used again
    token: str  # no two claims have the same


def refuse_careless_store(run: RunFolder, config: StorageConfig) -> None:
    """Find out whether the store keeps its word: what is created once stays.

    Raises:
        StorageError: It overwrites, and the user has not promised to be the only writer.
        UsageError: There is no such bucket, or there can be no such folder.
    """
    if config.single_writer:
        return
    probe = f"_run/probe-{uuid.uuid4().hex}"
    try:
        first, second = run.store.create(probe, b"first"), run.store.create(probe, b"second")
    except FileNotFoundError:
        is_folder = local_path(run.root) is not None
        problem = "no folder can be made here; give another run=" if is_folder else "there is no such bucket"
        raise UsageError(f"{run.root}: {problem}") from None
    run.store.remove(probe)
    if not first or second:
        raise StorageError(
            f"{run.root}: this store ignores the condition of a write (If-None-Match), so two workers cut "
            "off from each other could both commit a shard. Use another store, or, if only one driver on one "
            "cluster ever writes to this run, say so: storage.single_writer=true"
        )


def refuse_foreign_folder(run: RunFolder) -> None:
    """Refuse to clean up in a folder that no driver has ever worked on.

    Raises:
        UsageError: It has masks all the same.
    """
    if newest_epoch(run) is None and (found := run.store.sizes("masks")):
        raise UsageError(
            f"{run.root}: holds {next(iter(found))}, which no run has made here; give an empty folder"
        )


def claim(run: RunFolder, config: DriverConfig) -> Epoch:
    """Return this driver's epoch.

    Raises:
        RunInUse: Another driver is at work, and is not to be taken over from.
    """
    while True:
        last = newest_epoch(run)
        if last is not None and not config.take_over and _is_at_work(run, last, config):
            raise RunInUse(
                f"{run.root}: process {last.pid} on {last.host} works on this run; wait for it, stop it, "
                "or go on in its place with driver.take_over=true"
            )
        epoch = _new_epoch(1 if last is None else last.number + 1)
        if run.store.create(f"{run.epoch(epoch.number)}.json", as_json(asdict(epoch))):
            return epoch


@contextmanager
def reigning(run: RunFolder, epoch: Epoch, config: DriverConfig) -> Iterator[None]:
    """Let everybody know that this driver lives, and stop it when another has claimed the run.

    Raises:
        RunInUse: Another has. The block is stopped as by Ctrl-C.
    """
    over, lost = threading.Event(), threading.Event()
    beat = threading.Thread(target=_beat, args=(run, epoch, config, over, lost), name="beat", daemon=True)
    beat.start()
    try:
        yield
    except KeyboardInterrupt:
        if lost.is_set():
            raise RunInUse(f"{run.root}: another driver has taken this run over; this one stopped") from None
        raise
    finally:
        over.set()
        beat.join(timeout=config.beat_seconds)
        with suppress(StorageError, OSError):
            run.store.write(f"{run.epoch(epoch.number)}.ended", b"")
            run.store.remove(f"{run.epoch(epoch.number)}.beat")


def _beat(
    run: RunFolder, epoch: Epoch, config: DriverConfig, over: threading.Event, lost: threading.Event
) -> None:
    beats = 0
    while not over.is_set():
        try:
            run.store.write(f"{run.epoch(epoch.number)}.beat", str(beats).encode())
            if run.superseded(epoch.number):
                lost.set()
                # What a shell starts in the background ignores Ctrl-C.
                deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
                number = signal.SIGTERM if deaf else signal.SIGINT
                signal.pthread_kill(threading.main_thread().ident or 0, number)
                return
        except (StorageError, OSError) as error:
            logger.warning("storage does not take the sign that this driver lives: %s", error)
        beats += 1
        over.wait(config.beat_seconds)


def newest_epoch(run: RunFolder) -> Epoch | None:
    """Return the driver that claimed the run last, None if there was none."""
    names = [name for name in run.store.sizes("_run") if name.startswith("_run/epoch-")]
    claims = run.read_json([name for name in names if name.endswith(".json")][-1:])
    return Epoch(**claims[0]) if claims and claims[0] else None


def _is_at_work(run: RunFolder, epoch: Epoch, config: DriverConfig) -> bool:
    if run.has_ended(epoch.number):
        return False
    if epoch.machine == _machine():
        return _lives(epoch.pid, epoch.process_started)
    logger.info(
        "looking for up to %g s whether the driver on %s still works on this run",
        *(config.silent_seconds, epoch.host),
    )
    return _beats(run, epoch, config)


def _beats(run: RunFolder, epoch: Epoch, config: DriverConfig) -> bool:
    first, deadline = _last_beat(run, epoch), time.monotonic() + config.silent_seconds
    while time.monotonic() < deadline:
        time.sleep(min(1.0, config.beat_seconds))
        if _last_beat(run, epoch) != first:
            return not run.has_ended(epoch.number)
    return False


def _last_beat(run: RunFolder, epoch: Epoch) -> bytes | None:
    with suppress(FileNotFoundError):
        return run.store.read(f"{run.epoch(epoch.number)}.beat")
    return None


def _lives(pid: int, started: float) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    return False


def _new_epoch(number: int) -> Epoch:
    started = psutil.Process().create_time()
    return Epoch(number, socket.gethostname(), _machine(), os.getpid(), started, uuid.uuid4().hex)


def _machine() -> str:
    """Return what is the same for two processes only if each can see whether the other lives."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # not on every system
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip()]
        parts += [str(Path("/proc/self/ns/pid").readlink())]
    return " ".join(parts)
