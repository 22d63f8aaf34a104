"""Checkpoints: what an attempt has safely stored, so that another can go on from there.

In an attempt's folder, in the order of writing:

    span-000000000-000000100.parquet    masks of frames [0, 100)
    state-000000100.safetensors         the engine's state before frame 100
    checkpoint-000000100.json           names and digests of both: from here on, the checkpoint exists
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pipeline.storage import complete_or_absent, link_or_copy, sha256_of, write_whole


@dataclass
class CheckpointConfig:
    """How often masks and state are stored."""

    every_frames: int = 100
    keep: int = 2  # states; all spans are kept until the shard is published

    def __post_init__(self):
        if self.every_frames < 1 or self.keep < 1:
            raise ValueError(
                "checkpoint.every_frames and checkpoint.keep must be 1 or more, "
                f"got {self.every_frames} and {self.keep}"
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
    folder: Path,
    fingerprint: str,
    next_frame: int,
    spans: Mapping[str, str],
    tensors: Mapping[str, torch.Tensor],
    keep: int,
) -> None:
    """Store the state of an attempt, and drop all but the last `keep` states.

    Args:
        folder: The attempt's; the spans are there already.
        fingerprint: The shard's.
        next_frame: The frame that the state is the past of.
        spans: SHA-256 by file name, of all masks before `next_frame`.
        tensors: The engine's state.
        keep: How many states to keep.
    """
    state = folder / f"state-{next_frame:09d}.safetensors"
    with complete_or_absent(state) as partial:
        save_file(dict(tensors), partial)
    checkpoint = Checkpoint(fingerprint, next_frame, dict(spans), state.name, sha256_of(state))
    write_whole(folder / f"checkpoint-{next_frame:09d}.json", json.dumps(asdict(checkpoint)).encode())
    for old in sorted(folder.glob("checkpoint-*.json"))[:-keep]:
        old.unlink()
        (folder / f"state-{old.stem.removeprefix('checkpoint-')}.safetensors").unlink(missing_ok=True)


def last_stored_frame(attempts: Iterable[Path], fingerprint: str) -> int | None:
    """Return the last frame whose masks some attempt has stored, for the same fingerprint."""
    found = [_read(path) for attempt in attempts for path in attempt.glob("checkpoint-*.json")]
    frames = [c.next_frame - 1 for c in found if c is not None and c.fingerprint == fingerprint]
    return max(frames, default=None)


def take_over_newest(
    attempts: Iterable[Path], folder: Path, fingerprint: str
) -> tuple[Checkpoint, dict[str, torch.Tensor]] | None:
    """Bring the furthest valid checkpoint of other attempts into `folder`.

    Damaged ones and those of another fingerprint are passed over for the one before.

    Returns:
        The checkpoint and its tensors, or None if there is none to go on from.
    """
    found = [path for attempt in attempts for path in attempt.glob("checkpoint-*.json")]
    for path in sorted(found, key=lambda path: path.name, reverse=True):
        checkpoint = _read_valid(path, fingerprint)
        if checkpoint is None:
            continue
        try:
            for name in checkpoint.files:
                link_or_copy(path.parent / name, folder / name)
            write_whole(folder / path.name, path.read_bytes())
        except FileNotFoundError:
            continue  # that attempt still runs, and has gone past it
        return checkpoint, load_file(folder / checkpoint.state)
    return None


def _read(path: Path) -> Checkpoint | None:
    try:
        return Checkpoint(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _read_valid(path: Path, fingerprint: str) -> Checkpoint | None:
    checkpoint = _read(path)
    if checkpoint is None:
        return None
    whole = checkpoint.fingerprint == fingerprint and all(
        (path.parent / name).exists() and sha256_of(path.parent / name) == digest
        for name, digest in checkpoint.files.items()
    )
    return checkpoint if whole else None
