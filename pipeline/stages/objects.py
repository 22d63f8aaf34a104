"""`objects.parquet`: the part of each shard, written by its attempt, and the whole, of committed shards."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.engine.appearance import EXTRACTOR, appearance_of
from pipeline.engine.state import VideoState
from pipeline.inputs.frames import FramesConfig, noted, open_frames
from pipeline.outputs.object_table import Embedding, joined_rows, object_file, object_rows, read_objects
from pipeline.records import Direction, Frame, Rle
from pipeline.stages.extractor import embed
from pipeline.storage.workspace import Workspace
from pipeline.work.commits import TABLE
from pipeline.work.run_folder import READERS, RunFolder

PART = "objects.parquet"  # of a shard, in its attempt's folder and beside its kept states


@dataclass
class IdentityConfig:
    """What is kept of how objects look, to tell them apart by; no mask depends on it."""

    embeddings: bool = True
    best_frames: int = 8  # of an object, spread over time, that its embedding is the mean of, at most
    extractor: str | None = None  # module:function, for embeddings by a network of one's own

    def __post_init__(self):
        if self.best_frames < 1:
            raise ValueError(f"identity.best_frames must be 1 or more, got {self.best_frames}")
        if self.extractor is not None and self.extractor.count(":") != 1:
            raise ValueError(f"identity.extractor must be module:function, or null, got {self.extractor}")
        if self.extractor is not None and not self.embeddings:
            raise ValueError("identity.extractor needs identity.embeddings=true, got false")


@dataclass(frozen=True)
class Describer:
    """Describes the objects of one shard, when all its masks are there."""

    config: IdentityConfig
    weights_sha256: str
    state: VideoState
    video: Path
    frames: FramesConfig
    on_frame: Callable[[], None]  # called for each one that is decoded

    def write_part(self, workspace: Workspace) -> str:
        """Write the shard's part, of the attempt's table; return its file name."""
        table, extractor = workspace.folder / TABLE, self.config.extractor or EXTRACTOR
        rows = object_rows(table, self.weights_sha256, self._embeddings(table), extractor)
        workspace.write(PART, object_file(rows))
        return PART

    def _embeddings(self, table: Path) -> dict[int, Embedding]:
        if not self.config.embeddings:
            return {}
        left_out = self._of_the_other_pass(table)
        looks = {i: appearance_of(bank.sightings, left_out[i]) for i, bank in self.state.objects.items()}
        own = {i: Embedding(look.embedding, look.frames) for i, look in looks.items() if look is not None}
        if self.config.extractor is None:
            return own
        return embed(self.config.extractor, self._frames_at, _masks(table, own))

    def _frames_at(self, indices: Collection[int]) -> Iterator[Frame]:
        frames = open_frames(self.video, self.frames, min(indices), self.on_frame, indices)
        return noted(frames, self.on_frame)

    def _of_the_other_pass(self, table: Path) -> dict[int, set[int]]:
        """Return by object id its first key frame, if another pass writes the row of it and counts it."""
        firsts = {i: bank.first_frame for i, bank in self.state.objects.items()}
        if self.state.direction is Direction.FORWARD:
            return {i: set() for i in firsts}
        some = [("frame_index", "in", set(firsts.values()))]
        rows = pq.read_table(table, columns=["object_id", "frame_index"], filters=some).to_pylist()
        written = {(row["object_id"], row["frame_index"]) for row in rows}
        return {i: {first} - {t for object_id, t in written if object_id == i} for i, first in firsts.items()}


def _masks(table: Path, embeddings: Mapping[int, Embedding]) -> dict[int, dict[int, Rle]]:
    """Return the masks of the objects' best frames, but for empty ones, by frame index and object id."""
    wanted = {(frame, object_id) for object_id, found in embeddings.items() for frame in found.frames}
    some = ("area_px", ">", 0), ("frame_index", "in", {frame for frame, _ in wanted})
    columns = ["frame_index", "object_id", "rle"]
    rows = pq.read_table(table, columns=columns, filters=list(some)).to_pylist() if wanted else []
    masks: dict[int, dict[int, Rle]] = {}
    for row in rows:
        if (row["frame_index"], row["object_id"]) in wanted:
            rle = Rle(tuple(row["rle"]["size"]), row["rle"]["counts"])
            masks.setdefault(row["frame_index"], {})[row["object_id"]] = rle
    return masks


def write_objects(run: RunFolder) -> int:
    """Write the table of all objects of a run, of its committed shards; return how many there are."""
    with ThreadPoolExecutor(READERS) as threads:
        parts = list(threads.map(lambda marker: _part(run, marker), run.read_all("_commit")))
    rows = joined_rows([row for part in parts for row in part])
    run.store.write(run.objects, object_file(rows))
    return len(rows)


def _part(run: RunFolder, marker: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of a committed shard; nothing while it is being published."""
    try:
        if PART in marker.get("kept", ()):
            return read_objects(run.store.read(f"{run.states(marker['shard_id'])}/{PART}"))
        # Of a version that described no objects: its masks say all but what they look like.
        masks = run.store.read(run.masks(marker["video_id"], marker["shard_id"]))
        return object_rows(masks, marker["fingerprint"].get("weights", ""), {}, None)
    except FileNotFoundError:
        return []
