"""Strips of a video's frames with true outlines and found masks."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from benchmarks.tracking_prompts import Found
from benchmarks.tracking_truth import Masks, TrueVideo
from pipeline.inputs.images import image_paths

FRAMES = 6
WIDTH_PX = 200  # of one frame
COLOURS = ((255, 60, 200), (255, 190, 0), (0, 220, 255))  # of masks, by object id
COLOURS_KEPT = 128  # of a picture, which makes it a quarter as large


def save_strip(path: Path, video: TrueVideo, found: Mapping[str, Found]) -> None:
    """Write a PNG: a row a setting, masks in the object's colour and true outlines in white."""
    chosen = np.linspace(0, len(video.masks) - 1, FRAMES).round().astype(int)
    frames = [sorted(video.masks)[place] for place in chosen]
    paths = image_paths(video.frames)
    images = {t: np.array(Image.open(paths[t]).convert("RGB")) for t in frames}
    rows = [
        _titled(np.hstack([_drawn(images[t], video.masks[t], of.get(t, {})) for t in frames]), name, frames)
        for name, of in found.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).quantize(COLOURS_KEPT).save(path, optimize=True)


def _drawn(image: np.ndarray, true: Masks, found: Masks) -> np.ndarray:
    height = round(WIDTH_PX * image.shape[0] / image.shape[1])
    for object_id, mask in found.items():
        colour = np.array(COLOURS[object_id % len(COLOURS)], np.uint8)
        image = np.where(mask[..., None], (image // 3 + 2 * (colour // 3)), image)
    outlined = np.ascontiguousarray(image)
    for mask in true.values():
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outlined, edges, -1, (255, 255, 255), thickness=max(2, image.shape[1] // 240))
    return cv2.resize(outlined, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)


def _titled(strip: np.ndarray, name: str, frames: list[int]) -> np.ndarray:
    """Return the strip below a line that says what it shows."""
    title = Image.new("RGB", (strip.shape[1], 16), "white")
    draw = ImageDraw.Draw(title)
    for place, t in enumerate(frames):
        draw.text((place * WIDTH_PX + 4, 2), f"{name}, frame {t}" if not place else f"{t}", fill="black")
    return np.vstack([np.array(title), strip])
