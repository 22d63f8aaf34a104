"""Do the signals of `jobs.review` find the masks that are wrong? `python -m benchmarks.review DIR...`.

Each DIR holds `<video_id>/frames/*.jpg` and `<video_id>/masks/*.png`. Objects are pointed out on frame 0 by
their true masks, tracked by nano, and each signal is compared with the true IoU of the frame's mask.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.report import arguments, save, save_markdown, show
from benchmarks.truth import EXACT, job
from pipeline.outputs.quality import QualityConfig, severities, signals_of
from pipeline.outputs.quality_table import COLUMNS, masklets_of
from pipeline.outputs.reader import read_masks
from pipeline.stages.evaluate import jaccard, objects_of, truth_masks
from pipeline.stages.review import ReviewConfig, quality_of, suggestions

WRONG_IOU = 0.5  # a mask below this should be corrected
TEXT = f"""# Do the signals find wrong masks?

nano on real sequences, prompted by the true mask of frame 0; a mask with a true IoU under {WRONG_IOU} is
wrong. *AUC* is the chance that a wrong mask has a worse signal than a right one: 0.5 is a coin. *Flagged*,
*precision* and *recall* are of masks whose signal passes its default limit, or whose signals together pass
`min_severity`: of those events are made. Of the frames suggested, one an event, precision is the share whose
mask is wrong or goes wrong within ten frames; below it the same for all frames."""


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("truth", type=Path, nargs="+", metavar="DIR")
    options = parser.parse_args()
    ious, found, picked = defaultdict(list), defaultdict(list), []
    for truth in options.truth:
        measure(truth.resolve(), ious, found, picked)
    limits = {"all together": ReviewConfig().min_severity}
    rows = [
        _row(name, np.array(ious["all"]), np.array(values), limits.get(name, 0.0))
        for name, values in found.items()
    ]
    rows += _ranking(picked, np.array(ious["soon"]))
    show("Signals and wrong masks", rows)
    save(options.out, "review", rows)
    save_markdown(options.out, "review", TEXT, rows)
    return 0


def measure(truth: Path, ious: Mapping[str, list], found: Mapping[str, list], picked: list[bool]) -> None:
    """Track all sequences of a folder; add each frame's true IoU and signals."""
    with TemporaryDirectory() as folder:
        manifest, run = Path(folder) / "prompts.parquet", f"{folder}/run"
        job("manifest", f"truth={truth}", "prompt=mask", f"out={manifest}")
        job("segment", f"manifest={manifest}", f"run={run}", *EXACT)
        for video in sorted(path.parent for path in truth.glob("*/masks")):
            true = true_ious(run, video)
            for name, values in signals(run, video.name, true).items():
                found[name].extend(values)
            ious["all"].extend(true.values())
            soon = {key: min(_next(true, key)) for key in true}
            ious["soon"].extend(soon.values())
            for s in suggestions(quality_of(run, video.name, QualityConfig()), ReviewConfig()):
                picked.append(soon[s.object_id, s.frame_index] < WRONG_IOU)


def true_ious(run: str, video: Path) -> dict[tuple[int, int], float]:
    """Return the true IoU by object and frame, of frames that were not prompted."""
    masks, found = dict(truth_masks(video)), {}
    for frame in read_masks(run, video_id=video.name):
        if frame.frame_index not in masks:
            continue
        with Image.open(masks[frame.frame_index]) as image:
            true = objects_of(np.array(image))
        for i, object_id in enumerate(frame.object_ids):
            if not frame.prompted[i]:
                mask = frame.masks[i]
                empty = np.zeros_like(mask)
                found[object_id, frame.frame_index] = jaccard(mask, true.get(object_id, empty))
    return dict(sorted(found.items()))


def signals(run: str, video_id: str, wanted: Mapping[tuple[int, int], float]) -> dict[str, list[float]]:
    """Return by reason how bad it is, for the objects and frames wanted."""
    masks, config = read_masks(run, video_id=video_id), QualityConfig()
    quality = pa.concat_tables(quality_of(run, video_id, config))
    strays = dict(zip(_keys(quality), quality["stray_share"].to_pylist(), strict=True))
    size_hw = next(iter(masks)).rles[0].size_hw
    by_key: dict[tuple[int, int], dict[str, float]] = {}
    for object_id, masklet in masklets_of(masks.to_table(COLUMNS), size_hw).items():
        stray = np.array([strays[object_id, t] for t in masklet.frame_index])
        found = severities(masklet, signals_of(masklet, config), stray, config)
        found["all together"] = sum(found.values())
        for i, t in enumerate(masklet.frame_index):
            by_key[object_id, int(t)] = {name: float(values[i]) for name, values in found.items()}
    names = next(iter(by_key.values()))
    return {name: [by_key[key][name] for key in wanted] for name in names}


def auc(wrong: np.ndarray, right: np.ndarray) -> float:
    """Return the chance that one of `wrong` is higher than one of `right`; ties count half."""
    if not len(wrong) or not len(right):
        return float("nan")
    higher = (wrong[:, None] > right).mean()
    return float(higher + (wrong[:, None] == right).mean() / 2)


def _row(name: str, ious: np.ndarray, values: np.ndarray, limit: float) -> dict[str, str]:
    wrong, flagged = ious < WRONG_IOU, values > limit
    hits = (wrong & flagged).sum()
    return {
        "signal": name,
        "AUC": f"{auc(values[wrong], values[~wrong]):.2f}",
        "flagged": f"{flagged.mean():.2f}",
        "precision": f"{hits / max(1, flagged.sum()):.2f}",
        "recall": f"{hits / max(1, wrong.sum()):.2f}",
    }


def _ranking(picked: list[bool], soon: np.ndarray) -> list[dict[str, Any]]:
    shares = {
        f"{len(picked)} suggested frames": np.mean(picked or [0]),
        "frames at random": (soon < WRONG_IOU).mean(),
    }
    return [
        {"signal": name, "AUC": "", "flagged": "", "precision": f"{share:.2f}", "recall": ""}
        for name, share in shares.items()
    ]


def _next(true: Mapping[tuple[int, int], float], key: tuple[int, int]) -> list[float]:
    object_id, frame_index = key
    return [true[object_id, t] for t in range(frame_index, frame_index + 10) if (object_id, t) in true]


def _keys(quality: Any) -> list[tuple[int, int]]:
    return list(zip(quality["object_id"].to_pylist(), quality["frame_index"].to_pylist(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
