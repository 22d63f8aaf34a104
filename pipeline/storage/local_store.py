"""A store on a disk of this machine, or on one that all machines have mounted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.failpoints import reach
from pipeline.storage.files import create_once, link_or_copy, sha256_of, sync_folder, write_whole


class LocalStore:
    """Objects are files below a folder; a name with a leading dot is a file that is being written."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.root = str(folder)

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        write_whole(self._folder / name, data)

    def create(self, name: str, data: bytes) -> bool:
        return create_once(self._folder / name, data)

    def sizes(self, folder: str) -> dict[str, int]:
        found = {}
        for path in (self._folder / folder).rglob("[!.]*"):
            try:
                if path.is_file():
                    found[path.relative_to(self._folder).as_posix()] = path.stat().st_size
            except FileNotFoundError:  # removed meanwhile
                continue
        return dict(sorted(found.items()))

    def size_bytes(self, name: str) -> int | None:
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str:
        return sha256_of(self._folder / name)

    def copy(self, name: str, target: str) -> None:
        link_or_copy(self._folder / name, self._folder / target)

    def keep(self, file: Path, name: str) -> None:
        if file != self._folder / name:
            link_or_copy(file, self._folder / name)

    def fetch(self, name: str, file: Path) -> None:
        if file != self._folder / name:
            link_or_copy(self._folder / name, file)

    def remove(self, name: str) -> None:
        reach("before remove")
        (self._folder / name).unlink(missing_ok=True)

    def remove_all(self, folder: str) -> None:
        reach("before remove")
        shutil.rmtree(self._folder / folder, ignore_errors=True)

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)
        yield path
