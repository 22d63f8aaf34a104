"""Where everything of a run lies."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pipeline.storage.names import path_name
from pipeline.storage.store import StorageConfig, Store, open_store
from pipeline.storage.workspace import Workspace

READERS = 32  # requests side by side: an object store answers each after some 20 ms


@dataclass(frozen=True)
class RunFolder:
    """The names of all that a run stores; `docs/formats.md` says what each holds."""

    store: Store

    @classmethod
    def of(cls, uri: str, config: StorageConfig | None = None) -> "RunFolder":
        """Return the run folder at a path or URI.

        Raises:
            UsageError: There is no store for such a URI, or there are no credentials for it.
        """
        return cls(open_store(uri, config or StorageConfig()))

    @property
    def root(self) -> str:
        """The folder itself, for people to read."""
        return self.store.root

    about = "run.json"
    videos = "videos.parquet"
    objects = "objects.parquet"
    identities = "identities.parquet"

    def masks(self, video_id: str, shard_id: str) -> str:
        return f"masks/{path_name(video_id)}/{shard_id}.parquet"

    def marker(self, shard_id: str) -> str:
        return f"_commit/{shard_id}.json"

    def quarantine(self, shard_id: str) -> str:
        return f"quarantine/{shard_id}.json"

    def attempts(self, shard_id: str) -> str:
        """Return the folder of all attempts at a shard."""
        return f"_work/{shard_id}"

    def states(self, shard_id: str) -> str:
        """Return the folder of the states that stay of a published shard."""
        return f"_states/{shard_id}"

    def attempt(self, shard_id: str, attempt: str) -> AbstractContextManager[Workspace]:
        """Open the folder that is one attempt's alone, whoever else tries the shard."""
        return Workspace.opened(self.store, f"{self.attempts(shard_id)}/{attempt}")

    def forget_attempts(self, shard_id: str) -> None:
        """Remove what a published shard no longer needs."""
        self.store.remove_all(self.attempts(shard_id))

    def epoch(self, number: int) -> str:
        """Return the name, less its suffix, of what is stored of a driver's time."""
        return f"_run/epoch-{number:06d}"

    def has_ended(self, epoch: int) -> bool:
        """Say whether a driver has ended in order."""
        return self.store.size_bytes(f"{self.epoch(epoch)}.ended") is not None

    def superseded(self, epoch: int) -> bool:
        """Say whether a newer driver has claimed the run."""
        # By a listing: clients of NFS remember for a minute that a name was not there.
        return f"{self.epoch(epoch + 1)}.json" in self.store.sizes("_run")

    def read_all(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield the records in `_commit` or in `quarantine`, by name."""
        names = [name for name in self.store.sizes(folder) if name.endswith(".json")]
        yield from (record for record in self.read_json(names) if record is not None)

    def read_json(self, names: list[str]) -> list[dict[str, Any] | None]:
        """Return what JSON files hold, None for those that are gone by now."""
        with ThreadPoolExecutor(READERS) as threads:
            return list(threads.map(self._read_json, names))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads(self.store.read(name))
        except FileNotFoundError:
            return None

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as JSON that a person can read, complete or not at all."""
        self.store.write(name, as_json(value))


def as_json(value: Any) -> bytes:
    """Return a value as JSON that a person can read."""
    return json.dumps(value, indent=2, default=str).encode()
