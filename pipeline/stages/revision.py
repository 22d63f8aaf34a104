"""A finished shard with other corrections: what is before the first change stays, and is gone on from."""

import json
from collections.abc import Mapping
from pathlib import Path

from pyarrow.dataset import dataset, field

from pipeline.outputs.checkpoints import (
    Checkpoint,
    read_checkpoint,
    span_name,
    store_checkpoint,
    stored_checkpoints,
)
from pipeline.outputs.mask_table import write_span
from pipeline.records import Direction, Shard
from pipeline.schemas import MASKS
from pipeline.storage.files import sha256_of
from pipeline.storage.workspace import Workspace
from pipeline.work.commits import Marker
from pipeline.work.fingerprints import CORRECTIONS, changed_keys, digest_of
from pipeline.work.run_folder import RunFolder

KEPT = "kept"  # the attempt that is made of what stays


def keep_unchanged(run: RunFolder, marker: Marker, shard: Shard) -> int:
    """Make an attempt of a published shard's masks and states before the first correction that changed.

    Args:
        marker: Of what is published.
        shard: As it is asked for now.

    Returns:
        The frame that is gone on from; 0 where no state was kept, or more than corrections changed.
    """
    if changed_keys(marker.fingerprint, shard.fingerprint) != [CORRECTIONS]:
        return 0
    if shard.direction is Direction.BACKWARD:  # few are corrected, and their states count frames otherwise
        return 0
    with run.attempt(shard.id, KEPT) as workspace:
        masks = workspace.folder / ".published.parquet"
        try:
            run.store.fetch(run.masks(marker.video_id, marker.shard_id), masks)
            first = first_changed_frame(marker.fingerprint, shard.fingerprint, masks)
            return _keep(run, workspace, masks, marker, shard, first)
        except FileNotFoundError:  # it was never published
            return 0
        finally:
            masks.unlink(missing_ok=True)


def first_changed_frame(before: Mapping[str, str], now: Mapping[str, str], masks: Path) -> int:
    """Return the first frame whose correction is new, gone or another, by two fingerprints.

    Args:
        masks: The mask table, which knows when each frame was on show.
    """
    old, new = (json.loads(fingerprint.get(CORRECTIONS, "{}")) for fingerprint in (before, now))
    places = [place for place in old.keys() | new.keys() if old.get(place) != new.get(place)]
    return min(_frame_of(place, masks) for place in places)


def _frame_of(place: str, masks: Path) -> int:
    if not place.endswith(" s"):
        return int(place)
    seconds = float(place.removesuffix(" s"))
    shown = dataset(masks).to_table(["frame_index"], filter=field("time_seconds") <= seconds)
    return max(shown["frame_index"].to_pylist(), default=0)


def _keep(run: RunFolder, workspace: Workspace, masks: Path, marker: Marker, shard: Shard, first: int) -> int:
    """Bring states, with the masks before them, up to a frame; return the frame of the last one."""
    spans: dict[str, str] = {}
    last = 0
    for name in reversed(stored_checkpoints(run.store, run.states(shard.id))):
        found = read_checkpoint(run.store, name)
        if found is None or found.position > first or found.fingerprint != digest_of(marker.fingerprint):
            continue
        state = workspace.take(f"{run.states(shard.id)}/{found.state}")
        if sha256_of(state) != found.state_sha256:
            continue
        span = workspace.folder / span_name(last, found.position)
        frame = field("frame_index")
        rows = dataset(masks).to_table(filter=(frame >= last) & (frame < found.position))
        write_span(span, rows.replace_schema_metadata(MASKS.metadata).to_batches())
        workspace.keep(span.name)
        spans[span.name] = sha256_of(span)
        last = found.position
        store_checkpoint(
            workspace,
            Checkpoint(
                digest_of(shard.fingerprint), last, last - 1, dict(spans), found.state, found.state_sha256
            ),
        )
    return last
