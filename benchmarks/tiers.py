"""What is won and lost by settings that change masks: `python -m benchmarks.tiers DIR...`.

Each DIR holds `<video_id>/frames/*.jpg` and `<video_id>/masks/*.png`. Every object is given by its true mask
on frame 0. Runs are jobs, run as commands: speed is from files to published tables. All tiers are measured
one after the other, several times over, since a shared machine's speed drifts.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.report import arguments, save, save_markdown, show
from benchmarks.truth import job, our_scores

TIERS = {
    "exact: fp32": ("precision=fp32",),
    "fp32, motion memory": ("precision=fp32", "tracking.memory=motion"),
    "fp32, distractor memory": ("precision=fp32", "tracking.memory=distractor"),
    "bf16": ("precision=bf16",),
    "bf16, 4 memory frames": ("precision=bf16", "engine.memory_frames=4"),
    "bf16, 2 memory frames": ("precision=bf16", "engine.memory_frames=2"),
    "bf16, 1 memory frame": ("precision=bf16", "engine.memory_frames=1"),
    "bf16, 192 px": ("precision=bf16", "model.image_size_px=192"),
    "bf16, 128 px": ("precision=bf16", "model.image_size_px=128"),
}
TEXT = """# Settings that change masks: what they win and cost

nano on videos with true masks, each object given by its mask on frame 0. J is the mean IoU over all frames
but the first and over objects. Frames/s are from files to published tables, with the time to open a video
and to encode its prompts; each is the median of its rounds. fp8 is not built: no card with it was at hand."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("truth", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--tiers", nargs="+", choices=TIERS, default=list(TIERS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures = list(measure([truth.resolve() for truth in options.truth], options.tiers, options.rounds))
    rows = [_row(figure, figures[0]) for figure in figures]
    show("Settings that change masks", rows)
    save(options.out, "tiers", figures)
    save_markdown(options.out, "tiers", TEXT, rows)


def measure(truths: Sequence[Path], tiers: Sequence[str], rounds: int) -> Iterator[dict[str, Any]]:
    """Yield one figure a tier."""
    with TemporaryDirectory() as folder:
        measured = [
            {
                name: _measure(truths, TIERS[name], Path(folder) / f"{place}-{number}")
                for place, name in enumerate(tiers)
            }
            for number in range(rounds)
        ]
    for name in tiers:
        speeds = [of_round[name][1] for of_round in measured]
        yield {"tier": name, "j": measured[0][name][0], "frames_per_second": float(np.median(speeds))}


def _measure(truths: Sequence[Path], settings: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return J and frames per second over all videos."""
    scores, frames, seconds = [], 0, 0.0
    for truth in truths:
        manifest, run = folder / truth.name / "prompts.parquet", folder / truth.name / "run"
        manifest.parent.mkdir(parents=True)
        job("manifest", f"truth={truth}", "prompt=mask", f"out={manifest}")
        scores += our_scores(manifest, truth, run, *settings).values()
        videos = pq.read_table(run / "videos.parquet").to_pydict()
        frames, seconds = frames + sum(videos["frames"]), seconds + sum(videos["seconds"])
    return float(np.mean(scores)), frames / seconds


def _row(figure: dict[str, Any], first: dict[str, Any]) -> dict[str, str]:
    return {
        "tier": figure["tier"],
        "J": f"{figure['j']:.4f}",
        "J lost": f"{first['j'] - figure['j']:+.4f}",
        "frames/s": f"{figure['frames_per_second']:.1f}",
        "x first": f"{figure['frames_per_second'] / first['frames_per_second']:.2f}",
    }


if __name__ == "__main__":
    main()
