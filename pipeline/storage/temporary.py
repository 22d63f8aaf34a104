"""Folders for a while, that do not pile up where processes are killed."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = re.compile(r"sam2-\w+-(\d+)-\w+")


@contextmanager
def temporary_folder(kind: str, parent: str | None = None) -> Iterator[Path]:
    """Give an empty folder that is gone after the block; those that killed processes left are removed.

    Args:
        kind: A word that tells people what it is for.
        parent: Where it is made; None: in the system's folder for temporary files.
    """
    _remove_orphans(Path(parent or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"sam2-{kind}-{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)


def _remove_orphans(parent: Path) -> None:
    for folder in parent.glob("sam2-*-*-*"):
        owner = NAME.fullmatch(folder.name)
        if owner and not _lives(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
