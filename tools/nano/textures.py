"""Textures of made objects, and their colours."""

import cv2
import numpy as np

from tools.nano.bank_files import PATCH_PX, Bank

CROPPED, PLAIN = 0.6, 0.2  # shares of textures out of real frames and of one colour; the rest are patterns


def texture(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    """Return a texture: (PATCH_PX, PATCH_PX, 3) uint8, RGB."""
    draw = rng.random()
    if draw < CROPPED:
        patch = _crop(bank, rng)
    elif draw < CROPPED + PLAIN:
        patch = _plain(rng)
    else:
        patch = _pattern(rng)
    return patch[..., rng.permutation(3)] if rng.random() < 0.3 else patch


def _crop(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    frames = bank.sources[int(rng.integers(len(bank.sources)))].frames
    image = frames[rng.integers(len(frames))]
    height, width = image.shape[:2]
    share = rng.uniform(0.15, 0.7)
    rows, columns = max(8, int(height * share)), max(8, int(width * min(1, share * rng.uniform(0.7, 1.3))))
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    crop = np.ascontiguousarray(image[top : top + rows, left : left + columns])
    return cv2.resize(crop, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)


def _plain(rng: np.random.Generator) -> np.ndarray:
    """Return nearly one colour, with a gradient and grain."""
    one, other = rng.uniform(0, 255, (2, 3))
    rows, columns = np.mgrid[:PATCH_PX, :PATCH_PX] / PATCH_PX
    angle = rng.uniform(0, 2 * np.pi)
    share = ((np.cos(angle) * columns + np.sin(angle) * rows) * rng.uniform(0, 0.5))[..., None]
    grain = rng.normal(0, rng.uniform(0, 8), (PATCH_PX, PATCH_PX, 1))
    return np.clip(one * (1 - share) + other * share + grain, 0, 255).astype(np.uint8)


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """Return stripes or checks, soft or hard."""
    rows, columns = np.mgrid[:PATCH_PX, :PATCH_PX]
    angle, pitch = rng.uniform(0, np.pi), 2 * np.pi * rng.uniform(0.03, 0.25)
    wave = np.sin(pitch * (np.cos(angle) * columns + np.sin(angle) * rows))
    if rng.random() < 0.4:
        wave = wave * np.sin(pitch * (np.cos(angle) * rows - np.sin(angle) * columns))
    share = (np.where(wave > 0, 1.0, 0.0) if rng.random() < 0.5 else (wave + 1) / 2)[..., None]
    one, other = rng.uniform(0, 255, (2, 3))
    return (one * share + other * (1 - share)).astype(np.uint8)


def recoloured(patch: np.ndarray, rng: np.random.Generator, ground_rgb: np.ndarray) -> np.ndarray:
    """Return a texture of moderate contrast to the ground, whose mean colour is `ground_rgb`."""
    pixels = patch.astype(np.float32)
    middle = pixels.mean((0, 1))
    pull = rng.uniform(0, 0.5)
    shifted = (
        (pixels - middle) * rng.uniform(0.6, 1.2)
        + middle
        + pull * (ground_rgb - middle)
        + rng.normal(0, 10, 3)
    )
    return np.clip(shifted, 0, 255).astype(np.uint8)
