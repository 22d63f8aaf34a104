"""Our masks beside those of the official SAM2VideoPredictor: `python -m benchmarks.parity`.

Same weights, same frames, fp32, one object at a time. nano has its trained weights and meets every kind
of prompt; the eight architectures of the sam2 package have random weights and see small images.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import arguments, save, save_markdown, show
from tests.engine.parity_cases import ARCHITECTURES, EVERYTHING, NANO_CASES, Agreement, Case, compare
from tests.engine.scenes import nano_model, random_model

RANDOM_IMAGE_SIZE_PX = 128
TEXT = """# Parity with the official predictor

Our engine and `SAM2VideoPredictor`: same weights, same frames, fp32, one object at a time. nano has its
trained weights; the others have random weights and see images of 128x128 px. A step's difference is the
largest of a logit at the video's size, over all objects, frames and pixels, each step taken from the official
past. In whole runs each tracker has its own past: the IoU is the least of one object's masks over all frames.
The last column is the standard deviation of the official logits on the frame where it is least: were it 0,
equality would say nothing. `docs/engine.md` says why steps and runs are compared apart."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="+", metavar="MODEL", default=["nano", *ARCHITECTURES])
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = list(measure(options.models))
    rows = [_row(figure) for figure in figures]
    show("Parity with the official predictor", rows)
    save(options.out, "parity", figures)
    save_markdown(options.out, "parity", TEXT, rows)


def measure(models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield one figure a model and case."""
    for architecture in models:
        nano = architecture == "nano"
        model = nano_model() if nano else random_model(architecture, RANDOM_IMAGE_SIZE_PX)
        for case in NANO_CASES if nano else [EVERYTHING]:
            yield _figure(architecture, case, compare(model, architecture, case))


def _figure(architecture: str, case: Case, agreement: Agreement) -> dict[str, Any]:
    return {"model": architecture, "case": case.name, "frames": case.num_frames, **agreement._asdict()}


def _row(figure: dict[str, Any]) -> dict[str, str]:
    return {
        "model": Path(figure["model"]).stem,
        "case": figure["case"],
        "frames": str(figure["frames"]),
        "largest difference of a step": f"{figure['step_difference']:.1e}",
        "IoU of whole runs": f"{figure['iou']:.5f}",
        "least deviation": f"{figure['spread']:.2f}",
    }


if __name__ == "__main__":
    main()
