"""A detector that knows the truth but sees badly, and the prompts that a job makes of its boxes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tracking_prompts import NEW_OBJECT, Rows
from benchmarks.tracking_truth import TrueVideo
from benchmarks.truth import job
from pipeline import schemas
from pipeline.inputs.manifest_write import PromptKind, prompt_columns

SEED = 7
MISSED = 0.1  # of what is to be seen
OFF_PX = 2.0  # standard deviation of each side of a box
LEAST_PX = 200  # of an object's area that is detected
EVERY_FRAMES = 50  # another key frame of an object


def by_detector(video: TrueVideo, *_: Any) -> Rows:
    """Give what `jobs.prompt_from_detections` makes of the detector's boxes.

    Objects get the ids of the true ones that their first box is around, so that masks can be compared. One
    that the job takes for another object than before is a new one.
    """
    with TemporaryDirectory() as folder:
        detections, manifest = Path(folder) / "boxes.parquet", Path(folder) / "prompts.parquet"
        table = pa.Table.from_pylist(list(_detections(video)), schema=schemas.DETECTIONS)
        pq.write_table(table, detections)
        job(
            "prompt_from_detections",
            f"detections={detections}",
            f"videos={video.frames.parent.parent}/*/frames",
            f"out={manifest}",
            f"prompts.every_frames={EVERY_FRAMES}",
        )
        rows = pq.read_table(manifest).to_pylist()
    names = _true_ids(video, rows)
    return [row | {"video_uri": str(video.frames), "object_id": names[row["object_id"]]} for row in rows]


def _detections(video: TrueVideo) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(SEED)
    for t, masks in sorted(video.masks.items()):
        for mask in masks.values():
            off, is_missed = random.normal(0, OFF_PX, 4), random.random() < MISSED
            if is_missed or np.count_nonzero(mask) < LEAST_PX:
                continue
            box = np.array(prompt_columns(mask, PromptKind.box)["box_xyxy"]) + off
            height, width = video.size_hw
            yield {
                "video_id": video.video_id,
                "frame_index": t,
                "box_xyxy": np.clip(box, 0, [width, height, width, height]).tolist(),
                "score": 0.9,
            }


def _true_ids(video: TrueVideo, rows: Rows) -> dict[int, int]:
    """Return each object's new id: the true one's, or a higher one from a true one's second object on."""
    names: dict[int, int] = {}
    taken: Counter[int] = Counter()
    for row in sorted(rows, key=lambda row: (row["frame_index"], row["object_id"])):
        if row["object_id"] not in names:
            true = _boxed(video, row)
            names[row["object_id"]] = true + NEW_OBJECT * taken[true]
            taken[true] += 1
    return names


def _boxed(video: TrueVideo, row: dict[str, Any]) -> int:
    """Return the object that most of is in the row's box."""
    x0, y0, x1, y1 = (round(value) for value in row["box_xyxy"])
    masks = video.masks[row["frame_index"]]
    return max(masks, key=lambda object_id: np.count_nonzero(masks[object_id][y0:y1, x0:x1]))
