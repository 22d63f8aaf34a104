"""Whose fault a failed read is: the file's, or that of the disk and the machine it is read with."""

import errno
from pathlib import Path

from pipeline.errors import InputMissing, InputUnavailable

NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}
TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}
PERHAPS_THE_DISK = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT}  # decoders say EIO of damaged files too
BLOCK_BYTES = 4 << 20


def absent(path: Path, error: OSError) -> InputMissing | InputUnavailable:
    """Return what it means that a path could not be looked at."""
    kind = InputMissing if error.errno in NOT_THERE else InputUnavailable
    return kind(f"{path}: {error.strerror or error}")


def blame_disk(path: Path, error: Exception) -> None:
    """Raise InputUnavailable if a file that could not be decoded could not be read either."""
    number = getattr(error, "errno", None)
    if number in TOO_MANY_OPEN:
        raise InputUnavailable(f"{path}: {error}") from None
    if number in PERHAPS_THE_DISK:
        try:
            with path.open("rb") as file:
                while file.read(BLOCK_BYTES):
                    pass
        except OSError as disk:
            raise InputUnavailable(f"{path}: {disk.strerror or disk}") from None
