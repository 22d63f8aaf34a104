"""MASK ROWS -> QUALITY ROWS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.outputs.quality import Comparison, Masklet, QualityConfig, severities
from pipeline.schemas import QUALITY

# Of the mask table: all but the masks.
COLUMNS = [
    "object_id",
    "frame_index",
    "area_px",
    "box_xyxy",
    "object_score",
    "iou_score",
    "prompted",
    "stability_score",
]
FLAGGED = 0.5  # how bad a reason must be on a frame to be worth a flag
NO_BOX = [np.nan] * 4


def masklets_of(rows: pa.Table, size_hw: tuple[int, int]) -> dict[int, Masklet]:
    """Return the rows of one video by object id; `rows` have at least `COLUMNS`, in any order."""
    rows = rows.select(COLUMNS).sort_by([("object_id", "ascending"), ("frame_index", "ascending")])
    object_ids = rows["object_id"].to_numpy()
    columns = {name: rows[name].to_numpy() for name in COLUMNS if name not in ("object_id", "box_xyxy")}
    columns["box_xyxy"] = np.array([box or NO_BOX for box in rows["box_xyxy"].to_pylist()], float)
    found = {}
    for object_id in np.unique(object_ids):
        own = object_ids == object_id
        its = {name: values[own] for name, values in columns.items()}
        found[int(object_id)] = Masklet(**its, size_hw=size_hw)
    return found


def quality_rows(
    video_id: str, object_id: int, masklet: Masklet, stray_share: np.ndarray, comparison: Comparison
) -> pa.Table:
    """Return one row a frame of an object; frames that follow on these are for the next call.

    Args:
        stray_share: (frame,), NaN where it was not measured.
    """
    signals = comparison.signals(object_id, masklet)
    found = severities(masklet, signals, stray_share, comparison.config)
    count = len(masklet.frame_index)
    columns: dict[str, Any] = {
        "video_id": [video_id] * count,
        "object_id": [object_id] * count,
        "frame_index": masklet.frame_index,
        "severity": sum(found.values()),
        "reasons": [_worst_first(found, i) for i in range(count)],
        "object_score": masklet.object_score,
        "iou_score": masklet.iou_score,
        "stability_score": _nullable(masklet.stability_score),
        "area_ratio": _nullable(signals.area_ratio),
        "moved": _nullable(signals.moved),
        "stray_share": _nullable(stray_share),
        "at_edge": signals.at_edge,
    }
    return pa.Table.from_pydict(columns, schema=QUALITY)


def drift_flags(table: Path, config: QualityConfig) -> list[str]:
    """Return what is amiss somewhere in a shard's mask table, such as `drift:lost`; no mask is decoded.

    One row group is in memory at a time.
    """
    flags, comparison = set(), Comparison(config)
    with pq.ParquetFile(table) as file:
        size_hw = _size_of(file)
        for group in range(file.num_row_groups):
            for object_id, masklet in masklets_of(file.read_row_group(group, COLUMNS), size_hw).items():
                unmeasured = np.full(len(masklet.frame_index), np.nan)
                signals = comparison.signals(object_id, masklet)
                found = severities(masklet, signals, unmeasured, config)
                flags |= {f"drift:{reason}" for reason, values in found.items() if (values >= FLAGGED).any()}
    return sorted(flags)


def _size_of(file: pq.ParquetFile) -> tuple[int, int]:
    """Return the video's (height, width); that of nothing where there are no masks."""
    for sizes in file.iter_batches(1, columns=["rle.size"]):
        height, width = sizes["rle"][0].as_py()["size"]
        return height, width
    return 0, 0


def _worst_first(found: Mapping[str, np.ndarray], i: int) -> list[str]:
    return sorted((reason for reason in found if found[reason][i] > 0), key=lambda reason: -found[reason][i])


def _nullable(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.float32(), from_pandas=True)
