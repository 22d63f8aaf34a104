"""Figures of all settings and videos as Markdown tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row, markdown, save_markdown
from benchmarks.tracking_metrics import BACK_WITHIN_FRAMES, FOUND_IOU

TEXT = """# What helps tracking

Videos with known truth, segmented by `jobs.segment` (nano, fp32) with each setting. Made videos have
480x270 px and 120 to 200 frames (`benchmarks/tracking_scenes.py`; the seed is in `tracking.json`); the
others are those of the folders given. A frame that carries a prompt counts nowhere. A frame before an
object's first prompt counts as if nothing had been found.

First J, the mean IoU over frames and objects, of each video (of a folder: the mean over its videos). Then,
over all videos: the mean IDF1 and HOTA (of mask IoU), identity switches, and how many of the objects that
came back were found again: under their own id, with an IoU of {found_iou} or more, within {back_within}
frames. The second table also has J over the frames on which the object is to be seen, and on how many
object-frames without it one was invented."""

Figures = Sequence[dict[str, Any]]


def overview(figures: Figures) -> list[Row]:
    """Return a row a setting: J in each column's videos, and the rest over all videos if all were run."""
    groups = list(dict.fromkeys(figure["group"] for figure in figures))
    names = list(dict.fromkeys(figure["setting"] for figure in figures))
    return [_overview_row(name, groups, [f for f in figures if f["setting"] == name]) for name in names]


def details(figures: Figures) -> list[Row]:
    """Return a row a video and setting."""
    return [_details_row(f) for f in sorted(figures, key=lambda f: (f["group"], f["video"]))]


def save_tables(out: Path, figures: Figures, missing: Sequence[str]) -> None:
    """Write `tracking.md`.

    Args:
        missing: names of settings that the code cannot do.
    """
    text = TEXT.format(found_iou=FOUND_IOU, back_within=BACK_WITHIN_FRAMES)
    if missing:
        text += f"\n\nNot in this code, so not run: {'; '.join(missing)}."
    save_markdown(out, "tracking", f"{text}\n\n{markdown(overview(figures))}", details(figures))


def _overview_row(name: str, groups: Sequence[str], its: Figures) -> Row:
    j = {group: [f["j"] for f in its if f["group"] == group] for group in groups}
    row = {"setting": name} | {group: f"{np.mean(of):.3f}" if of else "" for group, of in j.items()}
    if not all(j.values()):
        return row | dict.fromkeys(("IDF1", "HOTA", "switches", "recovered"), "")
    return row | {
        "IDF1": f"{np.mean([f['idf1'] for f in its]):.3f}",
        "HOTA": f"{np.mean([f['hota'] for f in its]):.3f}",
        "switches": str(sum(f["switches"] for f in its)),
        "recovered": f"{sum(f['recovered'] for f in its)} of {sum(f['returns'] for f in its)}",
    }


def _details_row(figure: dict[str, Any]) -> Row:
    return {
        "video": figure["video"],
        "setting": figure["setting"],
        "J": f"{figure['j']:.3f}",
        "J where seen": f"{figure['j_seen']:.3f}",
        "IDF1": f"{figure['idf1']:.3f}",
        "HOTA": f"{figure['hota']:.3f}",
        "switches": str(figure["switches"]),
        "recovered": f"{figure['recovered']} of {figure['returns']}" if figure["returns"] else "",
        "invented": f"{figure['invented']} of {figure['unseen']}" if figure["unseen"] else "",
        "prompted frames": str(figure["prompted"]),
    }
