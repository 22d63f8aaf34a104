"""Write overlay videos of a run: `python -m jobs.render run=OUT`."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.edge import DONE, SHARDS_QUARANTINED, run_job
from pipeline.errors import PipelineError
from pipeline.outputs.overlay import OverlayConfig
from pipeline.stages.render import RenderTask, render, tasks_of
from pipeline.storage.local_store import LocalStore
from pipeline.storage.workspace import Workspace
from pipeline.work.run_folder import RunFolder

LOG_EVERY_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass
class RenderJob(OverlayConfig):
    """Which videos of which run are drawn, and how."""

    run: str = MISSING
    videos: list[str] = field(default_factory=list)  # video ids; empty: all that have masks
    out: str | None = None  # null: OUT/overlays


def main(config: RenderJob) -> int:
    tasks = tasks_of(config.run, config.videos)
    store = RunFolder.of(config.run).store if config.out is None else LocalStore(Path(config.out).resolve())
    name = "overlays" if config.out is None else "."
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    failed = 0
    with (
        Workspace.opened(store, name) as out,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        for task in tasks:
            try:
                file = render(config.run, task, out.folder, config, _counter(progress, task))
                out.keep(file.name)
                log.info("wrote %s/%s", store.root, out.stored(file.name))
            except PipelineError as error:
                failed += 1
                log.error("video %s has no overlay: %s: %s", task.video_id, type(error).__name__, error)
    place = config.out or f"{store.root}/overlays"
    log.info("%d of %d overlays are in %s", len(tasks) - failed, len(tasks), place)
    return SHARDS_QUARANTINED if failed else DONE


def _counter(progress: Progress, task: RenderTask) -> Callable[[], None]:
    """Return what to call after each frame: it moves a bar, or logs a line now and then."""
    bar = progress.add_task(task.video_id, total=task.num_frames_hint)
    last_logged = time.monotonic()

    def count() -> None:
        nonlocal last_logged
        progress.advance(bar)
        if progress.disable and time.monotonic() - last_logged >= LOG_EVERY_SECONDS:
            last_logged = time.monotonic()
            done = progress.tasks[bar].completed
            log.info("%s: %d of about %d frames", task.video_id, done, task.num_frames_hint)

    return count


if __name__ == "__main__":
    run_job("render", RenderJob, main)
