"""A folder on this machine, and the folder of the store that its files are kept in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.storage.files import write_whole
from pipeline.storage.store import Store


@dataclass(frozen=True)
class Workspace:
    """Files are made in `folder`; they are safe once they are kept."""

    store: Store
    name: str  # of the store's folder
    folder: Path

    @classmethod
    @contextmanager
    def opened(cls, store: Store, name: str) -> Iterator["Workspace"]:
        """Open the workspace whose files are kept under `name`."""
        with store.folder(name) as folder:
            yield cls(store, name, folder)

    def stored(self, file_name: str) -> str:
        """Return the name in the store of one of its files."""
        return f"{self.name}/{file_name}"

    def keep(self, file_name: str) -> None:
        """Make a complete file of the folder safe."""
        self.store.keep(self.folder / file_name, self.stored(file_name))

    def write(self, file_name: str, data: bytes) -> None:
        """Make a small file, and make it safe."""
        write_whole(self.folder / file_name, data)
        self.keep(file_name)

    def drop(self, file_name: str) -> None:
        """Remove a file here and in the store, if it is there."""
        (self.folder / file_name).unlink(missing_ok=True)
        self.store.remove(self.stored(file_name))

    def take(self, stored: str) -> Path:
        """Make a stored file of another workspace one of this one's own; return its path here.

        Raises:
            FileNotFoundError: It is not there, or not any more.
        """
        name = PurePosixPath(stored).name
        self.store.copy(stored, self.stored(name))
        self.store.fetch(self.stored(name), self.folder / name)
        return self.folder / name
