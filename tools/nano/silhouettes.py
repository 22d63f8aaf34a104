"""Shapes without a picture: those of annotations, and made ones."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco

from tools.nano.bank_files import PATCH_PX

FILL = 0.92  # of a patch, by the longer side of what is in it
SMALLEST_PX, THINNEST_PX, LARGEST_ASPECT = 200, 12, 6
EVERY_NTH_FRAME = 12  # of a SA-V video: shapes on neighbouring frames are the same


def read_silhouettes(files: Sequence[Path]) -> np.ndarray:
    """Return the shapes in COCO results and SA-V masklets: (shape, PATCH_PX, PATCH_PX) uint8."""
    patches = [to_patch(mask) for path in files for mask in _masks(json.loads(path.read_text()))]
    fitting = [patch for patch in patches if patch is not None]
    return np.stack(fitting) if fitting else np.zeros((0, PATCH_PX, PATCH_PX), np.uint8)


def _masks(content: list | dict) -> Iterator[np.ndarray]:
    if isinstance(content, list):
        rles = [result["segmentation"] for result in content]
    else:
        rles = [rle for frame in content["masklet"][::EVERY_NTH_FRAME] for rle in frame]
    for rle in rles:
        yield coco.decode(rle)


def to_patch(mask: np.ndarray) -> np.ndarray | None:
    """Return a mask's shape in the middle of a patch, 0 to 255; None if it is tiny, thin or in pieces."""
    x, y, width, height = cv2.boundingRect(mask)
    if mask.sum() < SMALLEST_PX or min(width, height) < THINNEST_PX:
        return None
    if max(width, height) > LARGEST_ASPECT * min(width, height) or _in_pieces(mask):
        return None
    return centred(mask[y : y + height, x : x + width] * 255)


def _in_pieces(mask: np.ndarray) -> bool:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return bool(areas.max() < 0.8 * areas.sum())


def centred(image: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """Return an image scaled into the middle of a patch; `border` fills what is left."""
    height, width = image.shape[:2]
    scale = FILL * PATCH_PX / max(height, width)
    new_width, new_height = max(2, round(width * scale)), max(2, round(height * scale))
    image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    top, left = (PATCH_PX - new_height) // 2, (PATCH_PX - new_width) // 2
    around = (top, PATCH_PX - new_height - top, left, PATCH_PX - new_width - left)
    return cv2.copyMakeBorder(image, *around, border)


def made_shape(rng: np.random.Generator) -> np.ndarray:
    """Return a made silhouette: (PATCH_PX, PATCH_PX) uint8, 0 to 255."""
    return (_blob, _polygon, _superellipse, _letter, _figure)[rng.integers(5)](rng)


def _blob(rng: np.random.Generator) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = np.ones_like(angle)
    for wave in range(2, 6):
        radius += rng.normal() * 0.28 / wave * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    return _filled(angle, 0.42 * PATCH_PX * radius / radius.max(), rng.uniform(0.5, 1))


def _polygon(rng: np.random.Generator) -> np.ndarray:
    angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
    return _filled(angle, PATCH_PX * rng.uniform(0.25, 0.47, len(angle)), 1.0)


def _filled(angle: np.ndarray, radius: np.ndarray, aspect: float) -> np.ndarray:
    points = PATCH_PX / 2 + np.stack([radius * np.cos(angle), radius * np.sin(angle) * aspect], 1)
    return cv2.fillPoly(np.zeros((PATCH_PX, PATCH_PX), np.uint8), [points.round().astype(np.int32)], (255,))


def _superellipse(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:PATCH_PX, :PATCH_PX] - PATCH_PX / 2
    half_x, half_y = PATCH_PX * rng.uniform(0.2, 0.46, 2)
    power = rng.uniform(0.8, 5)
    return ((np.abs(x / half_x) ** power + np.abs(y / half_y) ** power < 1) * 255).astype(np.uint8)


def _letter(rng: np.random.Generator) -> np.ndarray:
    patch = np.zeros((PATCH_PX, PATCH_PX), np.uint8)
    letter, thickness = chr(rng.integers(65, 91)), int(rng.integers(14, 26))
    return cv2.putText(patch, letter, (22, 132), cv2.FONT_HERSHEY_SIMPLEX, 5, (255,), thickness, cv2.LINE_AA)


def _figure(rng: np.random.Generator) -> np.ndarray:
    """Return a body with limbs."""
    patch = np.zeros((PATCH_PX, PATCH_PX), np.uint8)
    centre = PATCH_PX / 2 + rng.normal(0, 8, 2)
    body = (int(rng.integers(16, 36)), int(rng.integers(26, 46)))
    middle = (int(centre[0]), int(centre[1]))
    cv2.ellipse(patch, middle, body, float(rng.uniform(0, 180)), 0, 360, (255,), -1)
    for angle in rng.uniform(0, 2 * np.pi, rng.integers(2, 6)):
        end = centre + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(45, 74)
        end_px = (int(end[0]), int(end[1]))
        cv2.line(patch, middle, end_px, (255,), int(rng.integers(8, 22)), cv2.LINE_AA)
        if rng.random() < 0.4:
            cv2.circle(patch, end_px, int(rng.integers(7, 16)), (255,), -1, cv2.LINE_AA)
    return patch
