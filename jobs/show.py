"""Show what a run has: `python -m jobs.show run=OUT`."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from jobs.edge import DONE, run_job
from pipeline.errors import InputMissing
from pipeline.outputs.reader import read_masks
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
    console = Console()
    console.print(_table("Videos", _videos(run).select(VIDEO_COLUMNS).to_pylist()))
    with suppress(InputMissing):  # of a run without masks
        first = read_masks(config.run).head(config.rows).select(MASK_COLUMNS)
        console.print(_table("First masks", first.to_pylist()))
    for name, is_there in _places(run).items():
        if is_there:
            console.print(f"{PurePosixPath(name).stem}: {run.root}/{name}", highlight=False, soft_wrap=True)
    return DONE


def _videos(run: RunFolder) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(run.store.read(run.videos)))
    except FileNotFoundError:
        raise InputMissing(
            f"{run.root}/{run.videos}: not there; is {run.root} the folder of a run that has ended?"
        ) from None


def _places(run: RunFolder) -> dict[str, bool]:
    """Return what people look for, and whether it is there."""
    folders = {name: bool(run.store.sizes(name)) for name in ("masks", "overlays")}
    return {**folders, run.videos: True}


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
