"""Checkpoints: what an attempt has safely stored, so that another can go on from there.

In an attempt's folder, in the order of writing:

    span-000000000-000000100.parquet    masks of frames [0, 100)
    state-000000100.safetensors         the engine's state before frame 100
    checkpoint-000000100.json           names and digests of both: from here on, the checkpoint exists
"""

import json
import re
from collections.abc import Mapping
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
    early_at_gpu_share: float = 0.8  # store once more when so much of a GPU's memory is taken

    def __post_init__(self):
        for name in ("every_frames", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"checkpoint.{name} must be 1 or more, got {getattr(self, name)}")
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
    next_frame: int
    spans: dict[str, str]  # SHA-256 by file name, in frame order
    state: str  # file name
    state_sha256: str

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 by file name, of all that the checkpoint needs."""
        return {**self.spans, self.state: self.state_sha256}


def span_name(start_frame: int, stop_frame: int) -> str:
    """Return the file name of the masks of frames [start, stop)."""
    return f"span-{start_frame:09d}-{stop_frame:09d}.parquet"


def write_checkpoint(
    workspace: Workspace,
    fingerprint: str,
    next_frame: int,
    spans: Mapping[str, str],
    tensors: Mapping[str, torch.Tensor],
    keep: int,
) -> None:
    """Store the state of an attempt, and drop all but the last `keep` states.

    Args:
        workspace: The attempt's; the spans are stored already.
        fingerprint: The shard's.
        next_frame: The frame that the state is the past of.
        spans: SHA-256 by file name, of all masks before `next_frame`.
        tensors: The engine's state.
        keep: How many states to keep.
    """
    state = workspace.folder / f"state-{next_frame:09d}.safetensors"
    # Not by `save_file`: it tells of a full disk by an error of its own that says no more.
    write_whole(state, save(dict(tensors)))
    workspace.keep(state.name)
    checkpoint = Checkpoint(fingerprint, next_frame, dict(spans), state.name, sha256_of(state))
    workspace.write(f"checkpoint-{next_frame:09d}.json", json.dumps(asdict(checkpoint)).encode())
    for old in sorted(workspace.folder.glob("checkpoint-*.json"))[:-keep]:
        workspace.drop(old.name)
        workspace.drop(f"state-{old.stem.removeprefix('checkpoint-')}.safetensors")


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
    found = [_read(store, name) for name in _checkpoints(store, attempts)]
    frames = [c.next_frame - 1 for c in found if c is not None and c.fingerprint == fingerprint]
    return max(frames, default=None)


def take_over_newest(
    attempts: str, workspace: Workspace, fingerprint: str
) -> tuple[Checkpoint, dict[str, torch.Tensor]] | None:
    """Bring the furthest valid checkpoint of other attempts into `workspace`.

    Damaged ones and those of another fingerprint are passed over for the one before.

    Args:
        attempts: The folder of all attempts at a shard.

    Returns:
        The checkpoint and its tensors, or None if there is none to go on from.
    """
    for name in _checkpoints(workspace.store, attempts):
        checkpoint = _read(workspace.store, name)
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
                return checkpoint, load_file(workspace.folder / checkpoint.state)
        except FileNotFoundError:  # lost, or that attempt still runs and has gone past it
            continue
    return None


def _checkpoints(store: Store, attempts: str) -> list[str]:
    """Return the names of all checkpoints below a folder, the furthest first."""
    found = [(name.rpartition("/")[2], name) for name in store.sizes(attempts)]
    return [name for file, name in sorted(found, reverse=True) if re.fullmatch(r"checkpoint-\d+\.json", file)]


def _read(store: Store, name: str) -> Checkpoint | None:
    try:
        return Checkpoint(**json.loads(store.read(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return None
