"""Folders for a while, that do not pile up where processes are killed."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

# A process that has made its lock file has locked it by then.
YOUNG_SECONDS = 60.0


@contextmanager
def temporary_folder(kind: str, parent: str | None = None) -> Iterator[Path]:
    """Give an empty folder that is gone after the block; those that killed processes left are removed.

    Whether a process lives is told by the lock it holds, which holds across containers and machines too.

    Args:
        kind: A word that tells people what it is for.
        parent: Where it is made; None: in the system's folder for temporary files.
    """
    _remove_orphans(Path(parent or tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=f"sam2-{kind}-", dir=parent) as name,
        FileLock(_lock_of(Path(name))),
    ):
        content = Path(name) / "content"
        content.mkdir()
        yield content


def _lock_of(folder: Path) -> Path:
    return folder / "in-use.lock"


def _remove_orphans(parent: Path) -> None:
    for folder in parent.glob("sam2-*"):
        with suppress(OSError, Timeout):  # its owner has removed it, lives, or is another user
            lock = _lock_of(folder)
            if time.time() - lock.stat().st_mtime > YOUNG_SECONDS:
                with FileLock(lock, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
