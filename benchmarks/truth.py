"""J of nano against true masks, ours beside the official predictor's: `python -m benchmarks.truth DIR...`.

Each DIR holds `<video_id>/frames/*.jpg` and `<video_id>/masks/*.png`. Every object is pointed out on frame 0
by its true mask, by a box and by one click. Ours are the jobs, run as commands: manifest, segment, evaluate.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.official import official_nano, track
from benchmarks.report import arguments, save, save_markdown, show
from pipeline.inputs.images import image_paths
from pipeline.inputs.manifest import ManifestConfig, VideoPrompts, load_manifest
from pipeline.inputs.manifest_write import PromptKind
from pipeline.inputs.source import SourceConfig
from pipeline.stages.evaluate import jaccard, objects_of, truth_masks

ALLOWED_DIFFERENCE = 0.005
EXACT = ("runner=local", "precision=fp32")
UNFILLED = "engine.max_hole_px=0"
TEXT = f"""# J against true masks

Mean IoU of nano over all frames but the first, which is prompted: this project (manifest, segment and
evaluate, run as commands, in fp32) and the official predictor, on the same JPEGs. The two may differ by
{ALLOWED_DIFFERENCE}. Ours fills small holes in masks (`engine.max_hole_px`); the official one does so only
with its CUDA extension, which is absent here, so ours is also shown without."""

Scores = dict[tuple[str, int], float]  # J by video and object


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("truth", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--prompts", type=PromptKind, nargs="+", default=list(PromptKind), metavar="KIND")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = [
        figure
        for kind in options.prompts
        for truth in options.truth
        for figure in measure(truth.resolve(), kind)
    ]
    rows = [_row(figure) for figure in figures] + [_mean_row(figures, kind) for kind in options.prompts]
    show("J against true masks", rows)
    save(options.out, "truth", figures)
    save_markdown(options.out, "truth", TEXT, rows)
    return int(any(abs(figure["ours"] - figure["official"]) > ALLOWED_DIFFERENCE for figure in figures))


def measure(truth: Path, kind: PromptKind) -> Iterator[dict[str, Any]]:
    """Yield one figure an object."""
    with TemporaryDirectory() as folder:
        manifest = Path(folder) / "prompts.parquet"
        job("manifest", f"truth={truth}", f"prompt={kind.value}", f"out={manifest}")
        ours = our_scores(manifest, truth, Path(folder) / "run")
        unfilled = our_scores(manifest, truth, Path(folder) / "unfilled", UNFILLED)
        for video in load_manifest(str(manifest), ManifestConfig(), SourceConfig()):
            for object_id, official in _official_scores(video, truth).items():
                yield {
                    "video": video.video_id,
                    "object": object_id,
                    "prompt": kind.value,
                    "ours": ours[video.video_id, object_id],
                    "unfilled": unfilled[video.video_id, object_id],
                    "official": official,
                }


def our_scores(manifest: Path, truth: Path, run: Path, *settings: str) -> Scores:
    """Return J of a run with these settings, in fp32 unless they say otherwise."""
    job("segment", f"manifest={manifest}", f"run={run}", *EXACT, *settings)
    job("evaluate", f"run={run}", f"truth={truth}")
    evaluation = json.loads((run / "evaluation.json").read_text())
    return {
        (video_id, int(object_id)): score["mean_iou"]
        for video_id, video in evaluation["videos"].items()
        for object_id, score in video["objects"].items()
    }


def _official_scores(video: VideoPrompts, truth: Path) -> dict[int, float]:
    true_masks = dict(truth_masks(truth / video.video_id))
    ious = defaultdict(list)
    with TemporaryDirectory() as folder:
        frames = _numbered(Path(video.video_uri), Path(folder))
        for frame_index, found in track(official_nano(), frames, video.prompts):
            if frame_index == 0 or frame_index not in true_masks:
                continue
            with Image.open(true_masks[frame_index]) as image:
                true = objects_of(np.array(image))
            for object_id, mask in found.items():
                ious[object_id].append(jaccard(mask, true.get(object_id, np.zeros_like(mask))))
    return {object_id: float(np.mean(values)) for object_id, values in ious.items()}


def _numbered(frames: Path, folder: Path) -> Path:
    """Fill a folder with links to the frames, named by numbers as the official loader wants them."""
    for index, path in enumerate(image_paths(frames)):
        (folder / f"{index:05d}.jpg").symlink_to(path.resolve())
    return folder


def job(name: str, *settings: str) -> None:
    """Run a job as a command."""
    subprocess.run([sys.executable, "-m", f"jobs.{name}", *settings], check=True, stdout=subprocess.DEVNULL)


def _row(figure: dict[str, Any]) -> dict[str, str]:
    return {
        "video": figure["video"],
        "object": str(figure["object"]),
        "prompt": figure["prompt"],
        "this project": f"{figure['ours']:.4f}",
        "holes not filled": f"{figure['unfilled']:.4f}",
        "official": f"{figure['official']:.4f}",
        "difference": f"{figure['ours'] - figure['official']:+.4f}",
    }


def _mean_row(figures: list[dict[str, Any]], kind: PromptKind) -> dict[str, str]:
    of_kind = [figure for figure in figures if figure["prompt"] == kind.value]
    means = {
        who: float(np.mean([figure[who] for figure in of_kind])) for who in ("ours", "unfilled", "official")
    }
    return _row({"video": "all", "object": len(of_kind), "prompt": kind.value, **means})


if __name__ == "__main__":
    sys.exit(main())
