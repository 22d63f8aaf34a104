"""Checkpoints: what an attempt has safely stored, so that another can go on from there.

In an attempt's folder, in the order of writing:

    span-000000000-000000100.parquet    masks of frames [0, 100)
    state-000000100.safetensors         the engine's state before frame 100
    checkpoint-000000100.json           names and digests of both: from here on, the checkpoint exists
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

import torch
from safetensors.torch import load_file, save

from pipeline.storage.files import sha256_of, write_whole
from pipeline.storage.store import Store
from pipeline.storage.workspace import Workspace


@dataclass
class CheckpointConfig:
    """How often masks and state are stored."""

    every_frames: int = 100
    every_seconds: float = 300.0  # where that comes first
    keep: int = 2  # states; all spans are kept until the shard is published
    keep_every_frames: int | None = None  # states that stay after that, for corrections to go on from
    early_at_gpu_share: float = 0.8  # store once more when so much of a GPU's memory is taken

    def __post_init__(self):
        for name in ("every_frames", "keep", "keep_every_frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"checkpoint.{name} must be 1 or more, got {value}")
        if self.every_seconds <= 0:
            raise ValueError(f"checkpoint.every_seconds must be above 0, got {self.every_seconds}")
        if not 0 < self.early_at_gpu_share <= 1:
            raise ValueError(
                f"checkpoint.early_at_gpu_share must be above 0 and at most 1, got {self.early_at_gpu_share}"
            )


@dataclass(frozen=True)
class Checkpoint:
    """Everything up to one frame, safely stored."""

    fingerprint: str  # of the shard, so that a foreign state is never taken
    position: int  # the next frame; backwards, how many frames are done
    last_frame: int  # that is stored
    spans: dict[str, str]  # SHA-256 by file name
    state: str  # file name
    state_sha256: str

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 by file name, of all that the checkpoint needs."""
        return {**self.spans, self.state: self.state_sha256}


def span_name(start_frame: int, stop_frame: int) -> str:
    """Return the file name of the masks of frames [start, stop)."""
    return f"span-{start_frame:09d}-{stop_frame:09d}.parquet"


def span_between(start_frame: int, next_frame: int) -> tuple[int, int]:
    """Return the frames [start, stop) that were passed over from one frame to another, either way.

    >>> span_between(5, 8), span_between(5, 2)
    ((5, 8), (3, 6))
    """
    if start_frame <= next_frame:
        return start_frame, next_frame
    return next_frame + 1, start_frame + 1


def write_checkpoint(
    workspace: Workspace,
    fingerprint: str,
    position: int,
    last_frame: int,
    spans: Mapping[str, str],
    tensors: Mapping[str, torch.Tensor],
    config: CheckpointConfig,
) -> None:
    """Store the state of an attempt, and drop all but the last ones and those that stay for corrections.

    Args:
        workspace: The attempt's; the spans are stored already.
        fingerprint: The shard's.
        position: How far the state is, as a number that rises from one to the next.
        last_frame: The last frame that has masks.
        spans: SHA-256 by file name, of all masks up to there.
        tensors: The engine's state.
    """
    state = workspace.folder / _files_of(position)[1]
    # Not by `save_file`: it tells of a full disk by an error of its own that says no more.
    write_whole(state, save(dict(tensors)))
    workspace.keep(state.name)
    checkpoint = Checkpoint(fingerprint, position, last_frame, dict(spans), state.name, sha256_of(state))
    store_checkpoint(workspace, checkpoint)
    staying = kept_files(workspace, config.keep_every_frames)
    for old in sorted(workspace.folder.glob("checkpoint-*.json"))[: -config.keep]:
        for name in _files_of(_position(old.name)):
            if name not in staying:
                workspace.drop(name)


def store_checkpoint(workspace: Workspace, checkpoint: Checkpoint) -> None:
    """Let a checkpoint exist, whose spans and state are stored already."""
    name, _ = _files_of(checkpoint.position)
    workspace.write(name, json.dumps(asdict(checkpoint)).encode())


def kept_files(workspace: Workspace, every_frames: int | None) -> tuple[str, ...]:
    """Return the files of those checkpoints of an attempt that stay when it is published."""
    frames = sorted(_position(path.name) for path in workspace.folder.glob("checkpoint-*.json"))
    return tuple(name for frame in worth_keeping(frames, every_frames) for name in _files_of(frame))


def worth_keeping(frames: Sequence[int], every_frames: int | None) -> list[int]:
    """Return about one in so many frames, of rising ones: the first in each stretch of that length but one.

    >>> worth_keeping([10, 20, 30, 45, 60], every_frames=20)
    [20, 45, 60]
    """
    if every_frames is None:
        return []
    kept = [0]
    for frame in frames:
        if frame // every_frames > kept[-1] // every_frames:
            kept.append(frame)
    return kept[1:]


def _files_of(position: int) -> tuple[str, str]:
    return f"checkpoint-{position:09d}.json", f"state-{position:09d}.safetensors"


def _position(name: str) -> int:
    return int(name.removeprefix("checkpoint-").removesuffix(".json"))


def drop_checkpoints(workspace: Workspace) -> None:
    """Remove all checkpoints of an attempt, and what was brought for them: none is of use to it."""
    for kind in ("checkpoint-*.json", "state-*.safetensors", "span-*.parquet"):
        for file in workspace.folder.glob(kind):
            workspace.drop(file.name)


def last_stored_frame(store: Store, attempts: str, fingerprint: str) -> int | None:
    """Return the last frame whose masks some attempt has stored, for the same fingerprint.

    Args:
        attempts: The folder of all attempts at a shard.
    """
    found = [read_checkpoint(store, name) for name in stored_checkpoints(store, attempts)]
    of_shard = [c for c in found if c is not None and c.fingerprint == fingerprint]
    furthest = max(of_shard, key=lambda checkpoint: checkpoint.position, default=None)
    return None if furthest is None else furthest.last_frame


def take_over_newest(
    attempts: str, workspace: Workspace, fingerprint: str, keep_every_frames: int | None = None
) -> tuple[Checkpoint, dict[str, torch.Tensor]] | None:
    """Bring the furthest valid checkpoint of other attempts into `workspace`.

    Damaged ones and those of another fingerprint are passed over for the one before.

    Args:
        attempts: The folder of all attempts at a shard.

    Returns:
        The checkpoint and its tensors, or None if there is none to go on from.
    """
    for name in stored_checkpoints(workspace.store, attempts):
        checkpoint = read_checkpoint(workspace.store, name)
        if checkpoint is None or checkpoint.fingerprint != fingerprint:
            continue
        folder = name.rpartition("/")[0]
        try:
            whole = all(
                sha256_of(workspace.take(f"{folder}/{file}")) == digest
                for file, digest in checkpoint.files.items()
            )
            if whole:
                workspace.take(name)
                _take_older(workspace, name, keep_every_frames)
                return checkpoint, load_file(workspace.folder / checkpoint.state)
        except FileNotFoundError:  # lost, or that attempt still runs and has gone past it
            continue
    return None


def _take_older(workspace: Workspace, newest: str, keep_every_frames: int | None) -> None:
    """Bring those that stay of the checkpoints before the one that was taken over."""
    folder, _, file = newest.rpartition("/")
    older = [name for name in stored_checkpoints(workspace.store, folder) if name < newest]
    frames = sorted(_position(name.rpartition("/")[2]) for name in older)
    for frame in worth_keeping([*frames, _position(file)], keep_every_frames):
        with suppress(FileNotFoundError):
            for name in reversed(_files_of(frame)):
                workspace.take(f"{folder}/{name}")


def stored_checkpoints(store: Store, attempts: str) -> list[str]:
    """Return the names of all checkpoints below a folder, the furthest first."""
    found = [(name.rpartition("/")[2], name) for name in store.sizes(attempts)]
    return [name for file, name in sorted(found, reverse=True) if re.fullmatch(r"checkpoint-\d+\.json", file)]


def read_checkpoint(store: Store, name: str) -> Checkpoint | None:
    """Return a stored checkpoint, None if it is gone or damaged."""
    try:
        return Checkpoint(**json.loads(store.read(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return None
