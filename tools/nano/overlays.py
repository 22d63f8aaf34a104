"""Pictures of what was found: red is the prediction, green the outline of the truth."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from pipeline.stages.evaluate import jaccard

COLUMNS, WIDTH_PX = 6, 320
RED_BGR, GREEN_BGR, WHITE_BGR = (40, 60, 255), (0, 255, 0), (255, 255, 255)


def write_overlay(
    path: Path, frames: tuple[Path, ...], rows: Mapping[str, list], truth: Mapping[int, np.ndarray]
) -> None:
    """Write a picture: a row for each prompt, a column for each of some frames.

    Args:
        path: Of the PNG.
        frames: Files of all frames.
        rows: By the prompt's name, a (height, width) bool mask for each frame.
        truth: The same, by frame.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, COLUMNS).round().astype(int)).tolist()
    drawn = [
        np.concatenate([_drawn(frames[t], masks[t], truth.get(t), f"{name} {t}") for t in chosen], 1)
        for name, masks in rows.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(drawn))


def _drawn(file: Path, mask: np.ndarray, true: np.ndarray | None, caption: str) -> np.ndarray:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{file}: can't be decoded")
    image[mask] = (image[mask] * 0.45 + np.array(RED_BGR) * 0.55).astype(np.uint8)
    if true is not None:
        outlines, _ = cv2.findContours(true.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, GREEN_BGR, 2)
        caption += f" J {jaccard(mask, true):.2f}"
    height = round(WIDTH_PX * image.shape[0] / image.shape[1])
    image = cv2.resize(image, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    return cv2.putText(image, caption, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE_BGR, 2, cv2.LINE_AA)
