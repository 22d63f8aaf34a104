"""Suggest frames whose masks should be corrected: `python -m jobs.review run=OUT`."""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.manifest_write import FILLED_IN
from pipeline.outputs.overlay import OverlayConfig
from pipeline.schemas import QUALITY
from pipeline.stages.render import RenderTask, images_of, tasks_of
from pipeline.stages.review import ReviewConfig, Suggestion, quality_of, suggestions
from pipeline.storage.files import complete_or_absent
from pipeline.storage.names import path_name
from pipeline.storage.workspace import Workspace
from pipeline.work.run_folder import RunFolder

# What a person fills in stands empty; `jobs.manifest csv=... base=...` takes the rows that were filled in.
COLUMNS = ["video_id", "object_id", "frame_index", "kind", "points_xy", "point_labels", "box_xyxy"]
NOTES = ["severity", "reasons", "image"]
SUGGESTIONS, QUALITY_FILE, IMAGES = "review/suggestions.csv", "quality.parquet", "images"

log = logging.getLogger(__name__)


@dataclass
class ReviewJob(ReviewConfig):
    run: str = MISSING
    videos: list[str] = field(default_factory=list)  # video ids; empty: all that have masks
    images: bool = True


def main(config: ReviewJob) -> int:
    run, tasks = RunFolder.of(config.run), tasks_of(config.run, config.videos)
    _refuse_to_overwrite(run)
    run.store.remove_all(f"review/{IMAGES}")
    found = []
    with _quality_file(run) as file:
        for task in tasks:
            quality = _written(file, quality_of(config.run, task.video_id, config.quality))
            of_video = suggestions(quality, config)
            if config.images:
                _write_images(run, config.run, task, of_video)
            found += of_video
    run.store.write(SUGGESTIONS, _csv(found, config.images).encode())
    csv_file = f"{run.root}/{SUGGESTIONS}"
    log.info("%d frames of %d videos should be looked at: %s", len(found), len(tasks), csv_file)
    log.info(
        "fill in points_xy and point_labels, or box_xyxy, where a mask is wrong, then: "
        "python -m jobs.manifest csv=%s base=MANIFEST out=CORRECTED",
        csv_file,
    )
    return DONE


@contextmanager
def _quality_file(run: RunFolder) -> Iterator[pq.ParquetWriter]:
    """Give the table of quality rows to write to; it is stored if the block succeeds."""
    with Workspace.opened(run.store, "review") as workspace:
        with (
            complete_or_absent(workspace.folder / QUALITY_FILE) as partial,
            pq.ParquetWriter(partial, QUALITY, compression="zstd") as writer,
        ):
            yield writer
        workspace.keep(QUALITY_FILE)


def _written(file: pq.ParquetWriter, quality: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield quality rows, and write them on the way."""
    for part in quality:
        file.write_table(part.select(QUALITY.names))
        yield part


def _refuse_to_overwrite(run: RunFolder) -> None:
    """Refuse to replace suggestions that somebody has filled in."""
    try:
        text = run.store.read(SUGGESTIONS).decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return
    lines = csv.DictReader(io.StringIO(text, newline=""))
    if filled_in := sum(any(cells.get(name) for name in FILLED_IN) for cells in lines):
        csv_file = f"{run.root}/{SUGGESTIONS}"
        raise UsageError(
            f"{csv_file}: a new review would overwrite what is filled in (rows: {filled_in}); take it over "
            f"(python -m jobs.manifest csv={csv_file} base=MANIFEST out=CORRECTED) if you have not yet, then "
            "move the file away"
        )


def _write_images(run: RunFolder, uri: str, task: RenderTask, found: Sequence[Suggestion]) -> None:
    frames = {suggestion.frame_index for suggestion in found}
    for frame_index, image in images_of(uri, task, frames, OverlayConfig()):
        _, png = cv2.imencode(".png", image)
        run.store.write(f"review/{_image_name(task.video_id, frame_index)}", png.tobytes())


def _image_name(video_id: str, frame_index: int) -> str:
    return f"{IMAGES}/{path_name(video_id)}-{frame_index:06d}.png"


def _csv(found: Sequence[Suggestion], images: bool) -> str:
    text = io.StringIO()
    rows = csv.DictWriter(text, [*COLUMNS, *NOTES], restval="", lineterminator="\n")
    rows.writeheader()
    for s in found:
        known = {"video_id": s.video_id, "object_id": s.object_id, "frame_index": s.frame_index}
        notes = {"severity": f"{s.severity:.2f}", "reasons": " ".join(s.reasons)}
        image = {"image": _image_name(s.video_id, s.frame_index)} if images else {}
        rows.writerow({**known, "kind": "correction", **notes, **image})
    return text.getvalue()


if __name__ == "__main__":
    run_job("review", ReviewJob, main)
