"""Memory over a long video, ours beside the official predictor's: `python -m benchmarks.memory`.

A clip is looped to a long video. The stage of our workers segments it in one process, the
official predictor in another, with the same prompts and weights in fp32.
"""

from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from benchmarks.looped import write_looped
from benchmarks.memory_plot import plot
from benchmarks.memory_runs import MemoryCurve, segment_with_official, segment_with_stage
from benchmarks.report import arguments, save, save_markdown, show
from benchmarks.workload import BOXES_XYXY, CLIP
from pipeline.inputs.video import decode_video
from pipeline.records import Prompt

TEXT = """# Memory over a long video

Resident memory of one process that segments {frames} frames on the CPU: nano, fp32, {objects} objects.
Ours is the worker's own stage, from the video file to the published table; it grows only until the queue
of frames decoded ahead is full (`frames.queue_bytes`). The official predictor got the same frames as JPEGs:
it loads all of them before its first mask, and keeps the outputs of every frame. The peaks are the kernel's,
ours with the merge of all spans at the end in it; "above" is the peak over the memory at frame {settled}.

![Both curves](memory.png)"""


def main() -> None:
    options = _options()
    with TemporaryDirectory() as folder:
        curves = _measure(options, Path(folder))
    figures = {
        "clip": options.clip.name,
        "frames": options.frames,
        "objects": len(BOXES_XYXY),
        "settled": options.settled,
        "processes": {name: _summary(curve, options.settled) for name, curve in curves.items()},
    }
    rows = [_row(name, summary, options) for name, summary in figures["processes"].items()]
    show("Memory over a long video", rows)
    save(options.out, "memory", figures)
    save_markdown(options.out, "memory", TEXT.format(**figures), rows)
    plot(options.out / "memory.png", curves, options.settled)


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="the video to be looped")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--every", type=int, default=20, help="frames between two samples")
    parser.add_argument("--settled", type=int, default=300, help="memory is to be flat from this frame on")
    return parser.parse_args()


def _measure(options: Namespace, folder: Path) -> dict[str, MemoryCurve]:
    video = write_looped(options.clip, options.frames, folder / "looped.mp4")
    prompts = [Prompt(i, frame_index=0, box_xyxy=box) for i, box in enumerate(BOXES_XYXY, start=1)]
    jpegs = _write_jpegs(video, folder / "frames")
    return {
        "this project": _in_own_process(segment_with_stage, video, prompts, folder / "run", options.every),
        "official predictor": _in_own_process(segment_with_official, jpegs, prompts, options.every),
    }


def _write_jpegs(video: Path, folder: Path) -> Path:
    folder.mkdir()
    for frame in decode_video(video):
        Image.fromarray(frame.image).save(folder / f"{frame.index:05d}.jpg")
    return folder


def _in_own_process(run: Callable[..., MemoryCurve], *arguments: Any) -> MemoryCurve:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def _summary(curve: MemoryCurve, settled: int) -> dict[str, Any]:
    settled_mib = next(
        mib for frame, mib in zip(curve.frames, curve.rss_mib, strict=True) if frame >= settled
    )
    return {
        "model_mib": curve.model_mib,
        "settled_mib": settled_mib,
        "peak_mib": curve.peak_mib,
        "growth_percent": 100 * (curve.peak_mib / settled_mib - 1),
        "samples": list(zip(curve.frames, curve.rss_mib, strict=True)),
    }


def _row(name: str, summary: dict[str, Any], options: Namespace) -> dict[str, str]:
    return {
        "process": name,
        "model loaded, MiB": f"{summary['model_mib']:.0f}",
        f"frame {options.settled}, MiB": f"{summary['settled_mib']:.0f}",
        f"peak over {options.frames} frames, MiB": f"{summary['peak_mib']:.0f}",
        "above": f"{summary['growth_percent']:.1f} %",
    }


if __name__ == "__main__":
    main()
