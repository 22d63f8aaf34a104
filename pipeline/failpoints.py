"""Faults on purpose, so that tests can have one at every boundary of every write.

    SAM2_BATCH_FAULT=ACTION:PLACE:N:FILE

does ACTION where a process reaches PLACE, or any place for `*`, for the Nth time, unless FILE is there
already; FILE is made first, so that of all processes one meets the fault, once. Actions are a signal's
name (KILL, TERM, STOP, SEGV), or `disk`, `memory` and `gpu`, which are full then. Every time, `trace`
appends the place to FILE, and `slow` waits N milliseconds, so that what a test does meanwhile comes in time.
Several faults are parted by `;`. Without the variable nothing ever happens.
"""

import errno
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

VARIABLE = "SAM2_BATCH_FAULT"

_lock = threading.Lock()
_reached: Counter[str] = Counter()


def reach(place: str) -> None:
    """Say that the process is at a place where a fault would be worth a test."""
    for fault in filter(None, os.environ.get(VARIABLE, "").split(";")):
        action, wanted, count, file = fault.split(":", 3)
        if wanted not in ("*", place):
            continue
        if action == "trace":
            with Path(file).open("a") as trace:
                trace.write(f"{place}\n")
        elif action == "slow":
            time.sleep(int(count) / 1000)
        elif _times(fault) == int(count) and _is_first(file):
            _act(action)


def _times(fault: str) -> int:
    with _lock:
        _reached[fault] += 1
        return _reached[fault]


def _is_first(file: str) -> bool:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def _act(action: str) -> None:
    match action:
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device (on purpose)")
        case "memory":
            raise MemoryError("full (on purpose)")
        case "gpu":
            # Not imported: whoever computes has it, and whoever only plans need not wait for it.
            raise sys.modules["torch"].OutOfMemoryError("CUDA out of memory (on purpose)")
    os.kill(os.getpid(), signal.Signals[f"SIG{action}"])
