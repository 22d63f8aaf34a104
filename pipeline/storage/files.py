"""A file on a disk is complete or absent, and created once.

A crash, `kill -9` included, leaves a temporary name that nobody reads, never half a file under
its own name.
"""

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.failpoints import reach

WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK}


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` only if the block succeeds.

    An existing `path` is replaced in one step.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, since encoders choose the format by it.
    partial = path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:12]}.partial{path.suffix}")
    try:
        yield partial
        reach("before rename")
        _sync_file(partial)
        partial.replace(path)
        reach("after rename")
        sync_folder(path.parent)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, complete or not at all."""
    with complete_or_absent(path) as partial:
        partial.write_bytes(data)


def create_once(path: Path, data: bytes) -> bool:
    """Create `path` with `data` and say whether this call was the one that created it.

    Of several callers, on one machine or on a shared disk, exactly one gets True, and nobody
    ever sees an incomplete file: `link` fails where the name exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem[:80]}.{uuid.uuid4().hex[:12]}.partial")
    try:
        partial.write_bytes(data)
        _sync_file(partial)
        reach("before link")
        os.link(partial, path)
        reach("after link")
        sync_folder(path.parent)
        return True
    except FileExistsError:
        # On NFS perhaps by this very call, whose answer was lost and which was sent again.
        return _is_same(partial, path)
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        raise StorageError(
            f"{path.parent}: this disk has no hard links, by which of two workers one is the first; "
            "put the run on another disk or in an object store"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a complete file a second name, in one step; an existing `target` is replaced.

    Where the disk has no links the file is copied. Either way `target` comes by a rename from the
    folder of `source`: half a copy never lies where others read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = source.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        _link_else_copy(source, partial)
        reach("before copy")
        partial.replace(target)
        reach("after copy")
        sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)  # a rename between two links of one file does nothing


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make names created in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_same(first: Path, second: Path) -> bool:
    """Say whether two names are of one file; not if one is gone by now."""
    with suppress(FileNotFoundError):
        return first.samefile(second)
    return False


def _link_else_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        _sync_file(target)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
