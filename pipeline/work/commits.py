"""The commit protocol: of several attempts at a shard, exactly one is published.

1. An attempt writes its whole table into its own folder.
2. It creates the shard's marker, which names the attempt and the table's digest. A marker is
   created once; whoever comes second stops.
3. The marker's attempt is published under the final name. Whoever finds a marker without its
   file does the same: the same bytes from the same attempt.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum

from pipeline.errors import FingerprintChanged, StorageError
from pipeline.records import Shard
from pipeline.work.fingerprints import UNREADABLE, changed_keys
from pipeline.work.run_folder import RunFolder, as_json

TABLE = "table.parquet"  # an attempt's whole result, in its own folder
MAX_CHANGES_SHOWN = 20

logger = logging.getLogger(__name__)


class OnChange(str, Enum):
    """What to do with masks that were made of something else than what is asked for now."""

    fail = "fail"
    rerun = "rerun"  # remove them, and compute what is asked for


@dataclass(frozen=True)
class Marker:
    """Which attempt won a shard, and what it made."""

    shard_id: str
    video_id: str
    video_uri: str  # without secrets
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
    span: tuple[int, int] = (0, 0)  # the frames [start, stop) that have masks
    flags: tuple[str, ...] = ()  # what a reader should know: another model, less memory
    kept: tuple[str, ...] = ()  # files of the attempt that stay beside its table


def commit(run: RunFolder, marker: Marker) -> bool:
    """Try to make an attempt the shard's winner; publish whoever won. Say whether it was this one.

    Raises:
        StorageError: An attempt at something else won.
    """
    name = run.marker(marker.shard_id)
    won = run.store.create(name, as_json(asdict(marker)))
    winner = marker if won else read_marker(run, marker.shard_id)
    if winner.fingerprint != marker.fingerprint:
        raise StorageError(
            f"{run.root}/{name}: an attempt at other inputs, of an earlier driver, was faster; "
            "run again with on_change=rerun"
        )
    publish(run, winner)
    return won


def publish(run: RunFolder, marker: Marker) -> None:
    """Put the winner's table under its final name, if it is not there, and clear the shard's attempts.

    Raises:
        StorageError: The table of the attempt that won is gone or is not the one it committed.
    """
    target = run.masks(marker.video_id, marker.shard_id)
    # Another process may publish it and clear up at any moment.
    with suppress(FileNotFoundError):
        table = f"{run.attempts(marker.shard_id)}/{marker.attempt}/{TABLE}"
        _check_table(run, table, marker)
        run.store.copy(table, target)
        _publish_states(run, marker)
    if run.store.size_bytes(target) != marker.bytes:
        raise StorageError(
            f"{run.root}/{target}: expected the {marker.bytes} bytes that {run.marker(marker.shard_id)} "
            "names, and the attempt that made them is gone; remove both to have the shard computed again"
        )
    run.forget_attempts(marker.shard_id)


def _publish_states(run: RunFolder, marker: Marker) -> None:
    states = run.states(marker.shard_id)
    for name in marker.kept:
        run.store.copy(f"{run.attempts(marker.shard_id)}/{marker.attempt}/{name}", f"{states}/{name}")
    for name in run.store.sizes(states):
        if name.rpartition("/")[2] not in marker.kept:
            run.store.remove(name)


def read_marker(run: RunFolder, shard_id: str) -> Marker:
    """Return a shard's marker."""
    return _marker(json.loads(run.store.read(run.marker(shard_id))))


# From what is published of a shard, and what is asked for now, to how many frames can stay as they are.
KeepUnchanged = Callable[[RunFolder, Marker, Shard], int]


def finished(
    run: RunFolder,
    shards: Iterable[Shard],
    on_change: OnChange = OnChange.fail,
    keep_unchanged: KeepUnchanged = lambda run, marker, shard: 0,
) -> set[str]:
    """Return the ids of the shards that are done, and put the run folder in order.

    What was committed and not yet published is published; masks without a marker, the rests of an
    interrupted removal, are removed.

    Args:
        keep_unchanged: Makes an attempt to go on from of what can stay of a shard that changed.

    Raises:
        FingerprintChanged: The run folder holds results of another manifest, video, model or config,
            and `on_change` is `fail`.
    """
    planned = {shard.id: shard for shard in shards}
    # Before the markers: what a worker of an earlier driver publishes meanwhile is then not taken for a rest.
    published = {name: size for name, size in run.store.sizes("masks").items() if name.endswith(".parquet")}
    markers = [_marker(record) for record in run.read_all("_commit")]
    changed = {marker.shard_id: _differences(marker, planned) for marker in markers}
    problems = [problem for of_one in changed.values() for problem in of_one]
    if problems and on_change is OnChange.fail:
        raise FingerprintChanged(_refusal(run, problems))
    for problem in problems:
        logger.info("changed: %s", problem)
    forgotten = [marker for marker in markers if changed[marker.shard_id]]
    for marker in forgotten:
        _forget(run, marker, planned.get(marker.shard_id), keep_unchanged)
        published.pop(run.masks(marker.video_id, marker.shard_id), None)
    markers = [marker for marker in markers if not changed[marker.shard_id]]
    _put_in_order(run, markers, published)
    return {marker.shard_id for marker in markers}


def _forget(run: RunFolder, marker: Marker, now: Shard | None, keep_unchanged: KeepUnchanged) -> None:
    """Remove masks that are of no use any more: the marker first, so that nobody takes them for done."""
    run.forget_attempts(marker.shard_id)
    kept_frames = 0 if now is None else keep_unchanged(run, marker, now)
    run.store.remove(run.marker(marker.shard_id))
    run.store.remove(run.masks(marker.video_id, marker.shard_id))
    if kept_frames:
        logger.info("shard %s: what is before frame %d stays as it is", marker.shard_id, kept_frames)
    else:
        run.forget_attempts(marker.shard_id)
        run.store.remove_all(run.states(marker.shard_id))


def _put_in_order(run: RunFolder, markers: Iterable[Marker], published: dict[str, int]) -> None:
    """Publish what is not, and remove what nobody committed, of the sizes in bytes of `published` by name."""
    with_attempts = {name.split("/")[1] for name in run.store.sizes("_work")}
    for marker in markers:
        size_bytes = published.pop(run.masks(marker.video_id, marker.shard_id), None)
        if size_bytes != marker.bytes or marker.shard_id in with_attempts:
            publish(run, marker)
    for name in published:
        logger.warning("removed %s: no shard has committed it", name)
        run.store.remove(name)


def _marker(record: dict) -> Marker:
    listed = {"span": tuple(record.get("span", (0, record["frames"])))}
    listed |= {key: tuple(record.get(key, ())) for key in ("flags", "kept")}
    return Marker(**{**record, **listed})


def _differences(marker: Marker, planned: dict[str, Shard]) -> list[str]:
    if marker.shard_id not in planned:
        return [f"shard {marker.shard_id}: is not in this manifest, or is split otherwise"]
    now = planned[marker.shard_id].fingerprint
    return [
        f"shard {marker.shard_id}: {key} was {marker.fingerprint.get(key)}, is now {now.get(key)}"
        for key in changed_keys(marker.fingerprint, now)
        if now.get(key) != UNREADABLE  # what is done needs its videos no more
    ]


def _refusal(run: RunFolder, problems: Sequence[str]) -> str:
    more = len(problems) - MAX_CHANGES_SHOWN
    return "\n".join(
        [
            f"{run.root} holds masks of something else:",
            *(f"  {problem}" for problem in problems[:MAX_CHANGES_SHOWN]),
            *([f"  and {more} more"] if more > 0 else []),
            "on_change=rerun removes these masks and computes them again, and no others; "
            "or give this run another folder, or put back what changed",
        ]
    )


def _check_table(run: RunFolder, table: str, marker: Marker) -> None:
    found = run.store.sha256(table)
    if found != marker.sha256:
        raise StorageError(
            f"{run.root}/{table}: has SHA-256 {found}, but shard {marker.shard_id} committed "
            f"{marker.sha256}; remove the shard's file from _commit to have it computed again"
        )
