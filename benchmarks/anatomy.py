"""Where the time of one frame goes, ours beside the official predictor's: `python -m benchmarks.anatomy`.

A clock stands at the door of each part of both networks, on the same frames and weights, in one process.
What is in no part is the rest: bookkeeping, stacking memories, masks at the video's size.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.models import MODELS, model_of, trained_weights, write_random_weights
from benchmarks.official import Official
from benchmarks.ours import OursInTurn
from benchmarks.report import arguments, save, save_markdown, show
from benchmarks.settings import Precision, Setting, System
from benchmarks.ticks import synchronize
from benchmarks.workload import clips

WARMUP = 16  # frames: memories fill up in 7, pointers in 16
PARTS = ("image encoder", "memory attention", "mask decoder", "memory encoder", "rest")
TEXT = """# Where the time of one frame goes

Milliseconds a frame, all objects of it together, by part of the network; medians of {frames} frames after the
first {warmup}, each row in the same process and on the same frames as the others. Ours does the first layer's
self-attention and the memory encoder's projection once a frame, within the image encoder's column."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", choices=MODELS, default="sam2.1_tiny")
    parser.add_argument("--image-size", type=int, default=512, metavar="PX")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--frames", type=int, default=8, help="timed")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        figures = [
            _measure(system, precision, objects, options, Path(folder))
            for objects in options.objects
            for precision in (Precision.fp32, Precision.bf16)
            for system in (System.official, System.ours)
        ]
    rows = [_row(figure) for figure in figures]
    show("Milliseconds a frame", rows)
    save(options.out, "anatomy", figures)
    save_markdown(options.out, "anatomy", TEXT.format(frames=options.frames, warmup=WARMUP), rows)
    _plot(options.out / "anatomy.png", figures)


def _measure(
    system: System, precision: Precision, objects: int, options: Any, folder: Path
) -> dict[str, Any]:
    model = model_of(options.model)
    setting = Setting(
        system=system,
        precision=precision,
        model=model.name,
        image_size=options.image_size,
        objects=objects,
        videos=1,
        frames=WARMUP + options.frames,
        warmup=WARMUP,
        device=options.device,
        weights=trained_weights(model, None) or write_random_weights(model, folder),
    )
    clip = clips(1, objects, setting.frames, setting.image_size)
    running = {System.ours: OursInTurn, System.official: Official}[system](setting, model.architecture)
    clock = Clock(options.device)
    for name, module, method in _doors(running):
        clock.watch(name, module, method)
    spent = [clock.lap() for _ in running.ticks(clip)][WARMUP:]
    medians = {part: _median([lap.get(part, 0.0) for lap in spent]) * 1000 for part in (*PARTS, "all")}
    return {"system": system.value, "precision": precision.value, "objects": objects, "ms": medians}


def _doors(running: OursInTurn | Official) -> list[tuple[str, Any, str]]:
    """Return part, object and method, of whichever network it is."""
    if isinstance(running, OursInTurn):
        network = running.engine.network
        return [
            ("image encoder", running.engine, "_encode_images"),
            ("memory attention", network, "look_back"),
            ("memory attention", network.memory_attention, "forward"),
            ("mask decoder", network.mask_decoder, "forward"),
            ("memory encoder", network.memory_encoder, "forward"),
        ]
    predictor = running.predictor
    return [
        ("image encoder", predictor, "forward_image"),
        ("memory attention", predictor, "_prepare_memory_conditioned_features"),
        ("mask decoder", predictor, "_forward_sam_heads"),
        ("memory encoder", predictor, "_encode_new_memory"),
    ]


class Clock:
    """Seconds spent behind each door since the last lap."""

    def __init__(self, device: str):
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.since = time.perf_counter()

    def watch(self, name: str, module: Any, method: str) -> None:
        setattr(module, method, self._timed(name, getattr(module, method)))

    def lap(self) -> Mapping[str, float]:
        synchronize(self.device)
        now = time.perf_counter()
        spent, self.seconds = self.seconds, defaultdict(float)
        spent["all"] = now - self.since
        spent["rest"] = spent["all"] - sum(spent[part] for part in PARTS if part != "rest")
        self.since = now
        return spent

    def _timed(self, name: str, function: Callable) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            synchronize(self.device)
            began = time.perf_counter()
            result = function(*args, **kwargs)
            synchronize(self.device)
            self.seconds[name] += time.perf_counter() - began
            return result

        return timed


def _median(values: list[float]) -> float:
    return float(torch.tensor(values).median())


def _row(figure: dict[str, Any]) -> dict[str, str]:
    about = {name: str(figure[name]) for name in ("system", "precision", "objects")}
    return about | {part: f"{figure['ms'][part]:.1f}" for part in (*PARTS, "all")}


def _plot(path: Path, figures: list[dict[str, Any]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 + 0.45 * len(figures)), layout="constrained")
    axes = figure.add_subplot()
    left = [0.0] * len(figures)
    names = [f"{f['objects']} objects, {f['precision']}, {f['system']}" for f in figures]
    for part in PARTS:
        widths = [f["ms"][part] for f in figures]
        axes.barh(names, widths, left=left, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="milliseconds a frame")
    axes.legend(ncols=len(PARTS), loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
