"""Show what a run has: `python -m jobs.show run=OUT`."""

from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from jobs.edge import DONE, run_job
from pipeline.errors import InputMissing
from pipeline.schemas import MASKS
from pipeline.work.run_folder import RunFolder

VIDEO_COLUMNS = ["video_id", "status", "objects", "frames", "frames_per_second", "fault_class"]
MASK_COLUMNS = ["video_id", "object_id", "frame_index", "area_px", "object_score", "label"]


@dataclass
class ShowConfig:
    """Which run, and how much of it."""

    run: str
    rows: int = 5  # of the mask table


def main(config: ShowConfig) -> int:
    """Print the videos, the first masks, and where everything is."""
    run = RunFolder.of(config.run)
    if not run.videos.exists():
        raise InputMissing(f"{run.videos}: not there; is {run.root} the folder of a run that has ended?")
    console = Console()
    console.print(_table("Videos", pq.read_table(run.videos, columns=VIDEO_COLUMNS).to_pylist()))
    masks = run.root / "masks"
    if masks.exists():
        first = ds.dataset(masks, schema=MASKS).head(config.rows, columns=MASK_COLUMNS)
        console.print(_table("First masks", first.to_pylist()))
    for path in (masks, run.root / "overlays", run.videos):
        if path.exists():
            console.print(f"{path.stem}: {path}", highlight=False, soft_wrap=True)
    return DONE


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(*(rows[0] if rows else []), title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run_job("show", ShowConfig, main)
