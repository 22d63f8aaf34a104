"""Show what a run has, and how far one is that goes on: `python -m jobs.show run=OUT`."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from jobs.edge import DONE, run_job
from pipeline.errors import InputMissing
from pipeline.outputs.reader import read_masks
from pipeline.schemas import VIDEOS
from pipeline.work.run_folder import RunFolder
from pipeline.work.state import RunState, state_of

VIDEO_COLUMNS = ["video_id", "status", "objects", "frames", "frames_per_second", "fault_class"]
MAX_SHARDS_SHOWN = 20
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
    state = state_of(run)
    if state is None:
        raise InputMissing(f"{run.root}: no run has begun here, there is no {run.about}")
    for line in _told(state):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table("Videos", _videos(run).select(VIDEO_COLUMNS).to_pylist()))
    with suppress(InputMissing):  # of a run without masks
        first = read_masks(config.run).head(config.rows).select(MASK_COLUMNS)
        console.print(_table("First masks", first.to_pylist()))
    for name in _places(run):
        console.print(f"{PurePosixPath(name).stem}: {run.root}/{name}", highlight=False, soft_wrap=True)
    return DONE


def _told(state: RunState) -> Iterator[str]:
    yield f"{state.done} of {state.shards} shards done, {state.quarantined} quarantined"
    if state.driver and not state.has_ended:
        yield (
            f"process {state.driver.pid} on {state.driver.host} works on this run, or was cut off; "
            "the table of videos may be of an earlier time"
        )
    shown = list(islice(state.next_frames.items(), MAX_SHARDS_SHOWN))
    for shard_id, next_frame in shown:
        yield f"begun: {shard_id}, stored up to frame {next_frame}"
    if len(state.next_frames) > len(shown):
        yield f"begun: {len(state.next_frames) - len(shown)} more"


def _videos(run: RunFolder) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(run.store.read(run.videos)))
    except FileNotFoundError:  # the driver is about to write it
        return VIDEOS.empty_table()


def _places(run: RunFolder) -> list[str]:
    """Return the folders and files that people look for, those that are there."""
    folders = [name for name in ("masks", "overlays", "review", "quarantine") if run.store.sizes(name)]
    files = (run.videos, run.objects, run.identities, "evaluation.json")
    return [*folders, *(name for name in files if run.store.size_bytes(name) is not None)]


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
