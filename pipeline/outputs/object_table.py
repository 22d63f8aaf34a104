"""MASKS -> OBJECTS: one row is one object of a video: when it is visible, how large, what it looks like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.outputs.object_tally import KEY, ObjectTally
from pipeline.schemas import OBJECTS

READ = [*KEY, "frame_index", "time_seconds", "area_px", "object_score", "iou_score", "label"]
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
        masks: The file, or what it holds; one row group is in memory at a time, and no mask is.
        weights_sha256: Of the model that made them.
        embeddings: By object id, of the objects that have one.
        extractor: What made the embeddings.
    """
    tallies: dict[int, ObjectTally] = {}
    with pq.ParquetFile(pa.BufferReader(masks) if isinstance(masks, bytes) else masks) as file:
        for object_id, rows in _by_object(file):
            tallies.setdefault(object_id, ObjectTally()).add_score(rows)
        for object_id, rows in _by_object(file):
            tallies[object_id].add(rows)
    described = []
    for object_id, tally in sorted(tallies.items()):
        embedding = embeddings.get(object_id) if tally.frames_visible else None
        of_embedding = {
            "embedding": None if embedding is None else embedding.vector,
            "embedding_frames": [] if embedding is None else embedding.frames,
            "extractor": None if embedding is None else extractor,
        }
        described.append({**tally.row(), **of_embedding, "weights_sha256": weights_sha256})
    return described


def _by_object(file: pq.ParquetFile) -> Iterator[tuple[int, pa.Table]]:
    """Yield the rows of one object in one row group, in frame order."""
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=READ)
        ids = rows["object_id"].to_numpy()
        for object_id in np.unique(ids).tolist():
            yield object_id, rows.filter(ids == object_id)


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
        "sure_spans": _joined_spans([span for row in seen for span in row["sure_spans"]]),
        **{name: np.average([row[name] for row in seen], weights=frames) for name in MEANS if sum(frames)},
        "max_area_px": max((row["max_area_px"] for row in seen), key=lambda area: area or 0),
        **_joined_embedding([row for row in seen if row["embedding"] is not None]),
    }


def _joined_spans(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return spans in order, those that touch as one."""
    joined: list[dict[str, Any]] = []
    for span in spans:
        if joined and span["start_frame"] <= joined[-1]["stop_frame"]:
            joined[-1] |= {name: span[name] for name in ("stop_frame", "stop_seconds")}
        else:
            joined.append(dict(span))
    return joined


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
