"""Whether memory and time per frame stay flat over an hour of video: `python -m benchmarks.long_video`.

A made video is looped to 108,000 frames, with a true box every 50 of them. A worker's stage segments it with
nano at a small size, from the file to the table. It is stopped when its time is over; what it shows by then
counts.
"""

import sys
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.long_video_plot import plot
from benchmarks.long_video_run import LongRunConfig, Samples, run_long
from benchmarks.report import Row, arguments, save, save_markdown, show
from benchmarks.slopes import Slope, slope

TEXT = """# Memory and time over a long video

One object of a made video (200 frames, looped) of {frames:,} frames with a true box as key frame every
{key_frames_every} of them, of which a frame looks at {closest}: nano at {image_size_px} px, fp32, from
the file to the table. {ending} Before the first frame was tracked, {prepared:.1f} s went by. Slopes are
of lines through the means of 20 stretches from frame {settled:,} on, with the interval that holds them
with 95 % confidence. CPU time is of all threads of the process; what else runs on the machine adds to
the wall time alone.

![Memory and time](long_video.png)"""
MEASURES = {
    "rss_mib": "resident memory, MiB",
    "wall_ms": "wall time, ms a frame",
    "cpu_ms": "CPU time, ms a frame",
}


def main() -> None:
    options = _options()
    config = LongRunConfig(
        options.frames,
        options.key_frames_every,
        options.closest or None,
        options.image_size,
        options.every,
        options.limit_seconds,
    )
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        samples = pool.submit(run_long, config, Path(folder), options.seed).result()
    if not samples.frames:
        sys.exit(f"no sample in {config.limit_seconds:g} s; give --limit-seconds more, or --frames fewer")
    measures = MEASURES | ({"j": "J"} if samples.j else {})
    slopes = {name: _settled_slope(samples, name, options.settled) for name in measures}
    rows = [_row(title, getattr(samples, name), slopes[name]) for name, title in measures.items()]
    show("Memory and time over a long video", rows)
    figures = {"settled": options.settled, "config": asdict(config), "slopes": slopes}
    save(options.out, "long_video", figures | {"samples": asdict(samples)})
    save_markdown(options.out, "long_video", _text(config, samples, options.settled), rows)
    plot(options.out / "long_video.png", samples, options.settled)


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=108_000)
    parser.add_argument("--key-frames-every", type=int, default=50)
    parser.add_argument("--closest", type=int, default=4, help="key frames that a frame looks at; 0: all")
    parser.add_argument("--image-size", type=int, default=64, help="side of what the model sees, pixels")
    parser.add_argument("--every", type=int, default=100, help="frames between two samples")
    parser.add_argument("--settled", type=int, default=1000, help="slopes are taken from this frame on")
    parser.add_argument("--limit-seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _settled_slope(samples: Samples, name: str, settled: int) -> Slope | None:
    first = sum(frame < settled for frame in samples.frames)
    return slope(samples.frames[first:], getattr(samples, name)[first:])


def _text(config: LongRunConfig, samples: Samples, settled: int) -> str:
    stopped = f"It was stopped after {samples.frames[-1]:,} frames."
    ending = "It ran to the end." if samples.is_finished else stopped
    facts = asdict(config) | {"closest": f"the closest {config.closest}" if config.closest else "all"}
    return TEXT.format(**facts, ending=ending, settled=settled, prepared=samples.prepared_seconds)


def _row(title: str, values: list[float], found: Slope | None) -> Row:
    """Return what the first and the last tenth of the samples are, and the slope."""
    tenth = max(1, len(values) // 10)
    first, last = (float(np.mean(part)) for part in (values[:tenth], values[-tenth:]))
    return {
        "measure": title,
        "first tenth": f"{first:.2f}",
        "last tenth": f"{last:.2f}",
        "most": f"{max(values):.2f}",
        "per 1,000 frames": "too few samples" if found is None else f"{found.per_1000_frames:+.4f}",
        "95 % interval": "" if found is None else f"{found.low:+.4f} to {found.high:+.4f}",
    }


if __name__ == "__main__":
    main()
