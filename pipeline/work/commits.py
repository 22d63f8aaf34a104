"""The commit protocol: of several attempts at a shard, exactly one is published.

1. An attempt writes its whole table into its own folder.
2. It creates the shard's marker, which names the attempt and the table's digest. A marker is
   created once; whoever comes second stops.
3. The marker's attempt is published under the final name. Whoever finds a marker without its
   file does the same: the same bytes from the same attempt.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import FingerprintChanged, StorageError
from pipeline.records import Shard
from pipeline.storage import create_once, link_or_copy, sha256_of
from pipeline.work.fingerprints import UNREADABLE, changed_keys
from pipeline.work.run_folder import RunFolder

TABLE = "table.parquet"  # an attempt's whole result, in its own folder


@dataclass(frozen=True)
class Marker:
    """Which attempt won a shard, and what it made."""

    shard_id: str
    video_id: str
    video_uri: str
    attempt: str  # the winner's folder name
    sha256: str  # of its table
    bytes: int
    rows: int
    objects: int
    frames: int
    frames_computed: int  # by the winner itself, from the checkpoint on that it took over
    seconds: float  # of its work
    attempts: int
    fingerprint: dict[str, str]


def commit(run: RunFolder, marker: Marker) -> bool:
    """Try to make an attempt the shard's winner; publish whoever won. Say whether it was this one."""
    path = run.marker(marker.shard_id)
    won = create_once(path, json.dumps(asdict(marker), indent=2).encode())
    winner = marker if won else read_marker(path)
    publish(run, winner)
    return won


def publish(run: RunFolder, marker: Marker) -> None:
    """Put the winner's table under its final name, if it is not there, and clear the shard's attempts.

    Raises:
        StorageError: The table of the attempt that won is gone or is not the one it committed.
    """
    target = run.masks(marker.video_id, marker.shard_id)
    table = run.root / "_work" / marker.shard_id / marker.attempt / TABLE
    # Another process may publish it and clear up at any moment.
    with suppress(FileNotFoundError):
        if table.exists():
            _check_table(table, marker)
            link_or_copy(table, target)
    if not target.exists() or target.stat().st_size != marker.bytes:
        raise StorageError(
            f"{target}: expected the {marker.bytes} bytes that {run.marker(marker.shard_id)} names, and the "
            "attempt that made them is gone; remove both files to have the shard computed again"
        )
    run.forget_attempts(marker.shard_id)


def read_marker(path: Path) -> Marker:
    """Return the marker at `path`."""
    return Marker(**json.loads(path.read_text()))


def finished(run: RunFolder, shards: Iterable[Shard]) -> set[str]:
    """Return the ids of the shards that are done, publishing what was committed and not yet published.

    Raises:
        FingerprintChanged: The run folder holds results of another manifest, video, model or config.
    """
    planned = {shard.id: shard for shard in shards}
    markers = [Marker(**marker) for marker in run.read_all("_commit")]
    problems = [problem for marker in markers for problem in _differences(marker, planned)]
    if problems:
        raise FingerprintChanged(
            f"{run.root} holds masks of something else:\n  " + "\n  ".join(problems[:20]) + "\n"
            "give this run another folder, or put back what changed"
        )
    for marker in markers:
        publish(run, marker)
    return {marker.shard_id for marker in markers}


def _differences(marker: Marker, planned: dict[str, Shard]) -> list[str]:
    if marker.shard_id not in planned:
        return [f"shard {marker.shard_id}: is not in this manifest, or is split otherwise"]
    now = planned[marker.shard_id].fingerprint
    return [
        f"shard {marker.shard_id}: {key} was {marker.fingerprint.get(key)}, is now {now.get(key)}"
        for key in changed_keys(marker.fingerprint, now)
        if not (key == "source" and now[key] == UNREADABLE)  # what is done needs its video no more
    ]


def _check_table(table: Path, marker: Marker) -> None:
    found = sha256_of(table)
    if found != marker.sha256:
        raise StorageError(
            f"{table}: has SHA-256 {found}, but shard {marker.shard_id} committed {marker.sha256}; "
            "remove the shard's file from _commit to have it computed again"
        )
