"""MASKS -> OBJECTS: one row is one object of a video: when it is visible, how large, what it looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import OBJECTS

KEY = ("video_id", "object_id")
READ = [*KEY, "frame_index", "time_seconds", "area_px", "object_score", "iou_score", "label"]
SURE = 0.5  # of an object's highest IoU score; see engine/appearance.py
MEANS = ("mean_area_px", "mean_object_score", "mean_iou_score")


@dataclass(frozen=True)
class Embedding:
    """What an object looks like, as one vector."""

    vector: np.ndarray  # (channel,) float32, of length 1
    frames: Sequence[int]  # that it is the mean of


def object_rows(
    masks: Path | bytes, weights_sha256: str, embeddings: Mapping[int, Embedding], extractor: str | None
) -> list[dict[str, Any]]:
    """Return one row an object, by object id, of one shard's mask table.

    Args:
        masks: The file, or what it holds; the masks themselves are not read.
        weights_sha256: Of the model that made them.
        embeddings: By object id, of the objects that have one.
        extractor: What made the embeddings.
    """
    table = pq.read_table(pa.BufferReader(masks) if isinstance(masks, bytes) else masks, columns=READ)
    ids = table["object_id"].to_numpy()
    rows = []
    for object_id in np.unique(ids).tolist():
        embedding = embeddings.get(object_id)
        rows.append(
            {
                **_statistics(table.filter(ids == object_id)),
                "embedding": None if embedding is None else embedding.vector,
                "embedding_frames": [] if embedding is None else embedding.frames,
                "extractor": None if embedding is None else extractor,
                "weights_sha256": weights_sha256,
            }
        )
    return rows


def _statistics(table: pa.Table) -> dict[str, Any]:
    """Return what one object's rows say of it."""
    first = table.slice(0, 1).to_pylist()[0]
    seen = table["area_px"].to_numpy() > 0
    visible = table.filter(seen)
    columns = {
        name: visible[name].to_numpy() for name in ("frame_index", "area_px", "object_score", "iou_score")
    }
    iou_scores = table["iou_score"].to_numpy()
    sure = seen & (iou_scores >= SURE * max(columns["iou_score"], default=0))
    return {
        **{name: first[name] for name in (*KEY, "label")},
        "first_frame": min(columns["frame_index"].tolist(), default=None),
        "last_frame": max(columns["frame_index"].tolist(), default=None),
        "frames_visible": len(visible),
        "sure_spans": spans_of(table["frame_index"].to_numpy(), table["time_seconds"].to_numpy(), sure),
        "mean_area_px": _mean(columns["area_px"]),
        "max_area_px": max(columns["area_px"].tolist(), default=None),
        "mean_object_score": _mean(columns["object_score"]),
        "mean_iou_score": _mean(columns["iou_score"]),
    }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None


def spans_of(frames: np.ndarray, times: np.ndarray, seen: np.ndarray) -> list[dict[str, float]]:
    """Return the spans of frames on which an object is seen, of its rows in frame order.

    Args:
        frames: (row,) frame indices.
        times: (row,) seconds.
        seen: (row,) bool.

    >>> spans_of(np.arange(4), np.arange(4) / 10, np.array([True, True, False, True]))[0]
    {'start_frame': 0, 'stop_frame': 2, 'start_seconds': 0.0, 'stop_seconds': 0.2}
    """
    frame_seconds = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    next_times = np.append(times[1:], times[-1:] + frame_seconds)
    turns = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
    return [
        {
            "start_frame": int(frames[start]),
            "stop_frame": int(frames[stop - 1]) + 1,
            "start_seconds": float(times[start]),
            "stop_seconds": float(next_times[stop - 1]),
        }
        for start, stop in zip(turns[::2], turns[1::2], strict=True)
    ]


def joined_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row an object, by video and object, of rows of shards that may have objects in common."""
    ordered = sorted(rows, key=lambda row: (*(row[name] for name in KEY), row["first_frame"] or 0))
    return [_joined(list(same)) for _, same in groupby(ordered, key=lambda row: [row[name] for name in KEY])]


def _joined(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len(rows) == 1:
        return dict(rows[0])
    seen = [row for row in rows if row["frames_visible"]] or rows[:1]
    frames = [row["frames_visible"] for row in seen]
    return {
        **rows[0],
        "first_frame": seen[0]["first_frame"],
        "last_frame": max((row["last_frame"] for row in seen), key=lambda frame: frame or 0),
        "frames_visible": sum(frames),
        "sure_spans": [span for row in seen for span in row["sure_spans"]],
        **{name: np.average([row[name] for row in seen], weights=frames) for name in MEANS if sum(frames)},
        "max_area_px": max((row["max_area_px"] for row in seen), key=lambda area: area or 0),
        **_joined_embedding([row for row in seen if row["embedding"] is not None]),
    }


def _joined_embedding(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over all frames; where extractors or models differ, the first one's alone."""
    rows = [row for row in rows if _made_by(row) == _made_by(rows[0])]
    if not rows:
        return {}
    total = sum(len(row["embedding_frames"]) * np.asarray(row["embedding"]) for row in rows)
    frames = [frame for row in rows for frame in row["embedding_frames"]]
    return {
        "embedding": total / np.linalg.norm(total),
        "embedding_frames": frames,
        **{name: rows[0][name] for name in ("extractor", "weights_sha256")},
    }


def _made_by(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["extractor"], row["weights_sha256"]


def object_file(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as a Parquet file; the same rows give the same bytes."""
    file = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=OBJECTS), file, compression="zstd")
    return file.getvalue().to_pybytes()


def read_objects(file: bytes) -> list[dict[str, Any]]:
    """Return the rows of such a file."""
    return pq.read_table(pa.BufferReader(file)).to_pylist()
