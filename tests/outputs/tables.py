"""Mask tables for the tests, made with the functions that make real ones."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.engine.run_lengths import run_lengths
from pipeline.outputs.mask_table import rows_of, write_span
from pipeline.records import FrameMasks, Rle
from pipeline.storage.names import path_name


def encoded(masks: np.ndarray) -> list[Rle]:
    """Return the run lengths of (object, height, width) masks."""
    return run_lengths(torch.from_numpy(masks))


def square(index: int, size_hw: tuple[int, int] = (12, 16)) -> np.ndarray:
    """Return a mask of 3x3 pixels that lies further right the higher the index."""
    mask = np.zeros(size_hw, bool)
    mask[4:7, index % 10 : index % 10 + 3] = True
    return mask


def frame_masks(
    index: int, masks: Mapping[int, np.ndarray], prompted: Sequence[int] = (), frame_seconds: float = 0.04
) -> FrameMasks:
    """Return the masks of a frame, by object id; scores follow from the ids."""
    object_ids = tuple(masks)
    return FrameMasks(
        frame_index=index,
        time_seconds=index * frame_seconds,
        object_ids=object_ids,
        rles=tuple(encoded(np.stack(list(masks.values())))),
        object_scores=np.array([10 * object_id for object_id in object_ids], np.float32),
        iou_scores=np.array([object_id / 10 for object_id in object_ids], np.float32),
        prompted=np.array([object_id in prompted for object_id in object_ids]),
        stability_scores=np.ones(len(object_ids), np.float32),
    )


def write_masks(
    run: Path,
    video_id: str,
    frames: Iterable[FrameMasks],
    labels: Mapping[int, str] | None = None,
    shard_id: str | None = None,
) -> Path:
    """Write frames as one published shard of a run; return its path."""
    path = run / "masks" / path_name(video_id) / f"{shard_id or path_name(video_id)}.parquet"
    write_span(path, [rows_of(video_id, frame, labels or {}) for frame in frames])
    return path
