"""A bank that takes no time to make, a picture, and a sequence with truth."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tools.nano.bank_files import PATCH_PX, Bank, Source, pack_track, write_bank


def tiny_bank(held_out: bool = False) -> Bank:
    """Return a bank of two noisy sources, one of them with a track of a moving disk."""
    rng = np.random.default_rng(0)
    frames = rng.integers(90, 130, (6, 64, 96, 3), np.uint8)
    masks = np.stack([disk((64, 96), (30 + 4 * t, 32), 14) for t in range(6)])
    frames[masks > 0] = (200, 60, 40)
    shapes = np.stack([disk((PATCH_PX, PATCH_PX), (80, 80), radius) * 255 for radius in range(50, 72)])
    sources = [
        Source("moving", frames),
        Source("still", rng.integers(0, 255, (1, 64, 96, 3), np.uint8), held_out),
    ]
    pictures = np.stack(
        [np.dstack([rng.integers(0, 255, (*shape.shape, 3), np.uint8), shape]) for shape in shapes]
    )
    return Bank(sources, [pack_track(0, 0, masks, is_object=True)], shapes, pictures)


def write_tiny_bank(folder: Path) -> Path:
    bank = tiny_bank(held_out=True)
    write_bank(folder, bank.sources, bank.tracks, bank.silhouettes, bank.pictures)
    return folder


def disk(size_hw: tuple[int, int], middle_xy: tuple[int, int], radius: int) -> np.ndarray:
    return cv2.circle(np.zeros(size_hw, np.uint8), middle_xy, radius, (1,), -1)


def drawn_object() -> np.ndarray:
    """Return BGR and alpha of a red body with a blue head."""
    bgra = np.zeros((200, 120, 4), np.uint8)
    cv2.ellipse(bgra, (60, 130), (40, 60), 0, 0, 360, (0, 0, 250, 255), -1)
    cv2.circle(bgra, (60, 50), 30, (250, 0, 0, 255), -1)
    return bgra


def write_sequence(folder: Path, frames: int = 4) -> Path:
    """Write frames and masks of a bright disk that moves, and return the folder."""
    for name in ("frames", "masks"):
        (folder / "moving" / name).mkdir(parents=True)
    for t in range(frames):
        mask = disk((90, 160), (50 + 5 * t, 45), 20)
        Image.fromarray(np.where(mask[..., None], 220, 60).repeat(3, 2).astype(np.uint8)).save(
            folder / "moving" / "frames" / f"{t:05d}.jpg"
        )
        Image.fromarray(mask * 255).save(folder / "moving" / "masks" / f"{t:05d}.png")
    return folder
