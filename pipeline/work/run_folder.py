"""Where everything of a run lies."""

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.storage import path_name, sync_folder, write_whole


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run; `docs/formats.md` says what each holds."""

    root: Path

    @classmethod
    def of(cls, uri: str) -> "RunFolder":
        """Return the run folder at a local path.

        Raises:
            StorageError: It is on another store.
        """
        if "://" in uri and not uri.startswith("file://"):
            raise StorageError(f"run={uri}: this version writes to local or mounted disks only")
        return cls(Path(uri.removeprefix("file://")).expanduser().resolve())

    @property
    def about(self) -> Path:
        return self.root / "run.json"

    @property
    def videos(self) -> Path:
        return self.root / "videos.parquet"

    def masks(self, video_id: str, shard_id: str) -> Path:
        return self.root / "masks" / path_name(video_id) / f"{shard_id}.parquet"

    def marker(self, shard_id: str) -> Path:
        return self.root / "_commit" / f"{shard_id}.json"

    def quarantine(self, shard_id: str) -> Path:
        return self.root / "quarantine" / f"{shard_id}.json"

    def attempts(self, shard_id: str) -> list[Path]:
        """Return the folders of a shard's attempts, oldest first."""
        return sorted((self.root / "_work" / shard_id).glob("[0-9]*"))

    def new_attempt(self, shard_id: str) -> Path:
        """Create and return a folder that is this attempt's alone, whoever else tries the shard."""
        # The number is for people; no two attempts share a name, not even after the others are forgotten.
        name = f"{len(self.attempts(shard_id)) + 1:06d}-{uuid.uuid4().hex[:8]}"
        folder = self.root / "_work" / shard_id / name
        folder.mkdir(parents=True)
        sync_folder(folder.parent)
        return folder

    def forget_attempts(self, shard_id: str) -> None:
        """Remove what a published shard no longer needs."""
        shutil.rmtree(self.root / "_work" / shard_id, ignore_errors=True)

    def read_all(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield the records in `_commit` or in `quarantine`, by name."""
        for path in sorted((self.root / folder).glob("[!.]*.json")):  # a dot: not written to its end
            yield json.loads(path.read_text())


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON that a person can read, complete or not at all."""
    write_whole(path, json.dumps(value, indent=2, default=str).encode())
