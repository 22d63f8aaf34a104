"""What a camera and a codec do to pixels: light, noise, blur, compression. Masks stay as they are."""

import cv2
import numpy as np

from tools.nano.motion import drift


def develop(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the frames as a camera might have given them.

    Args:
        frames: (frame, height, width, 3) uint8.
        rng: Draws what happens; light changes from frame to frame, the rest is the clip's.
    """
    frames = _noised(_lit(frames, rng), rng)
    draw = rng.random()
    if draw < 0.2:
        sigma = rng.uniform(0.5, 1.3)
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    elif draw < 0.5:
        frames = _compressed(frames, int(rng.integers(25, 80)))
    if rng.random() < 0.04:
        frames = np.repeat(frames.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    return frames


def _lit(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change gain, bias, colour and gamma, through one table a frame and channel."""
    count = len(frames)
    gain = 1 + 0.15 * rng.normal() + np.clip(drift(rng, count, 0.015), -0.3, 0.3) * (rng.random() < 0.5)
    flicker = rng.normal(0, rng.choice([0, 0.01, 0.04]), count)
    tint, bias = 1 + 0.06 * rng.normal(size=3), rng.normal(0, 6)
    levels = (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.12)) * 255
    tables = levels[None, :, None] * (gain + flicker)[:, None, None] * tint + bias
    tables = np.clip(tables, 0, 255).astype(np.uint8)[:, :, None]  # (frame, 256, 1, 3), as cv2.LUT wants them
    return np.stack(
        [cv2.LUT(frame, table) for frame, table in zip(frames, tables.swapaxes(1, 2), strict=True)]
    )


def _noised(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.65:
        return frames
    shape = (len(frames) if rng.random() < 0.7 else 1, *frames.shape[1:3], 1)
    noise = rng.standard_normal(shape, np.float32) * rng.uniform(2, 8)
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


def _compressed(frames: np.ndarray, quality: int) -> np.ndarray:
    coded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in frames]
    decoded = [cv2.imdecode(data, cv2.IMREAD_COLOR) for data in coded]
    return np.stack([frame for frame in decoded if frame is not None])


def smeared(image: np.ndarray, way_px: np.ndarray) -> np.ndarray:
    """Return an image blurred along `way_px`, x and y, as motion during the exposure does."""
    length = float(np.hypot(*way_px))
    if length < 1.5:
        return image
    side = int(min(length, 41)) | 1
    kernel = np.zeros((side, side), np.float32)
    half = way_px / length * (side - 1) / 2
    ends = [(round(side // 2 + sign * half[0]), round(side // 2 + sign * half[1])) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], (1.0,), 1, cv2.LINE_AA)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
