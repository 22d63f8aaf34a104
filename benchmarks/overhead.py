"""What safety costs on an undisturbed run: `python -m benchmarks.overhead [--run URI]`.

The same shard is segmented with checkpoints every 100 frames and without any, turn by turn; beginnings and
commits are timed inside. Everything else, decoding and writing the table too, is in both.
"""

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.looped import write_looped
from benchmarks.report import Row, arguments, save, save_markdown, show
from pipeline.engine.config import EngineConfig, Precision
from pipeline.outputs.checkpoints import CheckpointConfig
from pipeline.records import Attempt, Prompt, Shard
from pipeline.stages import segment
from pipeline.stages.segment import SegmentStage
from pipeline.stages.segment_config import SegmentConfig

CLIP = Path("pipeline/bundled/clips/bottles.mp4")
BOXES = ((60.0, 105.0, 125.0, 312.0), (150.0, 100.0, 220.0, 312.0))
EVERY, NEVER = 100, 10**9
TEXT = """# What safety costs on an undisturbed run

nano in fp32, two objects, from a file to a published table. Turn by turn with checkpoints and without;
medians, and of the share the median of the turns' ratios."""


@contextmanager
def timed(name: str, seconds: list[float]) -> Iterator[None]:
    """Add up the time that a function of the stage's module takes."""
    function: Callable[..., Any] = getattr(segment, name)

    def wrapper(*arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds.append(time.perf_counter() - started)

    setattr(segment, name, wrapper)
    try:
        yield
    finally:
        setattr(segment, name, function)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--run", help="path or URI of a folder for the runs; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = write_looped(CLIP, options.frames, Path(folder) / "video.mp4")
        figures = measure(video, options.frames, options.turns, options.run or f"{folder}/runs")
    rows = _rows(figures)
    show("What safety costs", rows)
    save(options.out, "overhead", figures)
    save_markdown(options.out, "overhead", TEXT, rows)


def measure(video: Path, frames: int, turns: int, run: str) -> dict[str, Any]:
    """Return the medians, in seconds, and the share of checkpoints, commits and beginnings."""
    prompts = tuple(Prompt(i + 1, 0, box_xyxy=box) for i, box in enumerate(BOXES))
    shard = Shard("video", "video", str(video), prompts, frames, {"prompts": "x"})
    stages = {every: _stage(every, run) for every in (NEVER, EVERY)}
    protocol: list[float] = []
    with timed("note_begin", protocol), timed("commit", protocol):
        rounds = [
            {every: _seconds(stage, shard) for every, stage in stages.items()} for _ in range(turns + 1)
        ]
    rounds = rounds[1:]  # the first one warms up
    without = statistics.median(r[NEVER] for r in rounds)
    return {
        "frames": frames,
        "objects": len(prompts),
        "without_checkpoints_seconds": without,
        "with_checkpoints_seconds": statistics.median(r[EVERY] for r in rounds),
        "checkpoints_share": statistics.median(r[EVERY] / r[NEVER] for r in rounds) - 1,
        "protocol_share": 2 * statistics.median(protocol) / without,  # a beginning and a commit
    }


def _stage(every_frames: int, run: str) -> SegmentStage:
    config = SegmentConfig(
        engine=EngineConfig(precision=Precision.fp32),
        checkpoint=CheckpointConfig(every_frames, every_seconds=NEVER),
    )
    return SegmentStage(config, run)


def _seconds(stage: SegmentStage, shard: Shard) -> float:
    one = replace(shard, id=f"video-{uuid.uuid4().hex[:8]}")
    started = time.perf_counter()
    stage(one, Attempt("000001.001"), lambda frames: None)
    return time.perf_counter() - started


def _rows(figures: dict[str, Any]) -> list[Row]:
    return [
        {
            "": "without checkpoints",
            "seconds": f"{figures['without_checkpoints_seconds']:.2f}",
            "more": "",
        },
        {
            "": f"a checkpoint every {EVERY} frames",
            "seconds": f"{figures['with_checkpoints_seconds']:.2f}",
            "more": f"{100 * figures['checkpoints_share']:+.1f} %",
        },
        {
            "": "in both: beginning and commit",
            "seconds": f"{figures['protocol_share'] * figures['without_checkpoints_seconds']:.3f}",
            "more": f"{100 * figures['protocol_share']:+.2f} %",
        },
    ]


if __name__ == "__main__":
    main()
