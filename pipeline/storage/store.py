"""Named objects under one root, on a disk or in an object store: each is complete or absent."""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.storage.local_store import LocalStore
from pipeline.storage.object_store import ObjectStore


class Store(Protocol):
    """What the commit protocol asks of storage, and no more. Names have `/` between their parts.

    What is not there is a `FileNotFoundError`; all else that fails is an `OSError` or a `StorageError`.
    """

    root: str  # for people to read: without secrets

    def read(self, name: str) -> bytes: ...

    def write(self, name: str, data: bytes) -> None:
        """Write an object; an older one of that name is replaced in one step."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Create an object and say whether this call did: of several callers exactly one gets True.

        `data` must be the caller's own: where an answer was lost, it is by `data` that the winner is known.
        """
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of all objects below a folder, by full name, sorted."""
        ...

    def size_bytes(self, name: str) -> int | None:
        """Return the size of an object, or None if it is not there."""
        ...

    def sha256(self, name: str) -> str: ...

    def copy(self, name: str, target: str) -> None:
        """Give an object a second name; an older one of that name is replaced in one step."""
        ...

    def keep(self, file: Path, name: str) -> None:
        """Store a complete file of this machine under a name; one in the store's own place stays there."""
        ...

    def fetch(self, name: str, file: Path) -> None:
        """Bring an object to a file on this machine; one that is there already stays."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        ...

    def remove_all(self, folder: str) -> None:
        """Remove all objects below a folder."""
        ...

    def folder(self, name: str) -> AbstractContextManager[Path]:
        """Give a folder on this machine for files that are to be kept under `name`.

        On a disk it is the stored folder itself, and stays; otherwise it is a temporary one.
        """
        ...


@dataclass
class StorageConfig:
    """How long a store may be silent, and who writes to it. A disk asks for none of this."""

    connect_seconds: float = 10.0
    silent_seconds: float = 60.0  # that a store may keep a request waiting
    retry_seconds: float = 120.0  # that a failing request is repeated for, with growing pauses
    single_writer: bool = False  # I promise that no two drivers or clusters write to this run at a time

    def __post_init__(self):
        for name in ("connect_seconds", "silent_seconds", "retry_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"storage.{name} must be above 0, got {getattr(self, name)}")


def open_store(uri: str, config: StorageConfig) -> Store:
    """Return the store at a path or at a URI: `file://`, `s3://` or `gs://`.

    Raises:
        UsageError: It is none of these, or there are no credentials for it.
        StorageError: Its settings are wrong.
    """
    if re.match(r"\w{2,}:/(?!/)", uri):
        likely = uri.replace(":/", "://", 1)
        raise UsageError(f"run={uri}: neither a path nor a URI; did you mean {likely}?")
    if "://" not in uri or uri.startswith("file://"):
        return LocalStore(Path(uri.removeprefix("file://")).expanduser().resolve())
    return ObjectStore(uri, config.connect_seconds, config.silent_seconds, config.retry_seconds)
