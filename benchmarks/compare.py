"""Ours beside every peer, same weights and frames: `python -m benchmarks.compare`.

Speed, memory, start-up and masks of our engine, of our worker's stage from video file to Parquet, of the
official SAM2VideoPredictor (eager; on CUDA also compiled) and of transformers' Sam2VideoModel. Each row is
measured in a process of its own, one after the other. A row that fails says why and stops nothing.
"""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.agreement import PackedMasks, agreement, load_masks
from benchmarks.compare_child import measure_in_child
from benchmarks.compare_table import in_short, rows_of, text_of
from benchmarks.figures import Figure, Peak, as_json
from benchmarks.models import MODELS, model_of, trained_weights, write_random_weights
from benchmarks.report import arguments, save, save_markdown, show
from benchmarks.scenarios import Scenario, scenarios
from benchmarks.settings import ENCODED_AT_ONCE, REFERENCE, Precision, Setting, System, variants

WARMUP = 2 * ENCODED_AT_ONCE  # memories fill up in 7 frames, pointers in 16
H200 = Peak(tflops=790, terabytes_per_second=4.3)


def main() -> None:
    options = _options()
    figures: list[Figure] = []
    with TemporaryDirectory() as folder:
        for scenario in _scenarios(options):
            figures += _measure(_settings(scenario, options, Path(folder)), options, Path(folder))
            _write(figures, options)  # a run that is cut short leaves what it has
    show("Ours beside every peer", rows_of(figures, options.peak))
    _plot(figures, options.out / "compare.png")


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, metavar="MODEL", help="files of conf/model/")
    parser.add_argument("--image-size", type=int, metavar="PX", help="side of the model's input")
    parser.add_argument("--objects", type=int, nargs="+", metavar="N", help="in each video")
    parser.add_argument("--videos", type=int, nargs="+", metavar="N", help="at a time")
    parser.add_argument("--frames", type=int, metavar="N", help="of each video")
    parser.add_argument("--warmup", type=int, default=WARMUP, help="first frames, not timed")
    parser.add_argument("--systems", type=System, nargs="+", default=list(System))
    parser.add_argument("--precisions", type=Precision, nargs="+", default=list(Precision))
    parser.add_argument("--weights-dir", type=Path, help="official checkpoints under their own names")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=_device())
    parser.add_argument("--tflops", type=float, default=H200.tflops, help="of the GPU in bf16 products")
    parser.add_argument("--terabytes-per-second", type=float, default=H200.terabytes_per_second)
    parser.add_argument("--timeout-seconds", type=float, default=900, help="for one row")
    options = parser.parse_args()
    options.peak = Peak(options.tflops, options.terabytes_per_second)
    return options


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _scenarios(options: Namespace) -> list[Scenario]:
    names = ("device", "models", "image_size", "objects", "videos", "frames")
    return scenarios(**{name: getattr(options, name) for name in names})


def _settings(scenario: Scenario, options: Namespace, folder: Path) -> list[Setting]:
    """Return one setting a system and precision, all with the same weights."""
    model = model_of(scenario.model)
    weights = trained_weights(model, options.weights_dir) or write_random_weights(model, folder)
    return [
        Setting(
            system=system,
            precision=precision,
            model=model.name,
            image_size=scenario.image_size or model.image_size_px,
            objects=scenario.objects,
            videos=scenario.videos,
            frames=scenario.frames,
            warmup=options.warmup,
            device=options.device,
            weights=weights.resolve(),
        )
        for system, precision in variants(options.systems, options.precisions, options.device)
    ]


def _measure(settings: Sequence[Setting], options: Namespace, folder: Path) -> Iterator[Figure]:
    """Yield the figure of each setting of one scenario, the reference's first."""
    stored, reference = folder / "masks.npz", None
    for setting in settings:
        figure = measure_in_child(setting, stored, options.timeout_seconds)
        if figure.measured is not None:
            masks = load_masks(stored)
            reference = masks if (setting.system, setting.precision) == REFERENCE else reference
            figure = figure if reference is None else _compared(figure, masks, reference)
        print(in_short(figure), flush=True)
        yield figure


def _compared(figure: Figure, masks: PackedMasks, reference: PackedMasks) -> Figure:
    try:
        return replace(figure, agreement=agreement(masks, reference))
    except ValueError as error:
        return replace(figure, problem=str(error))


def _write(figures: Sequence[Figure], options: Namespace) -> None:
    save(options.out, "compare", as_json(figures, options.peak))
    save_markdown(options.out, "compare", text_of(figures), rows_of(figures, options.peak))


def _plot(figures: Sequence[Figure], path: Path) -> None:
    try:
        from benchmarks.compare_plot import plot
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    plot(path, figures)


if __name__ == "__main__":
    main()
