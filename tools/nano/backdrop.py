"""The real part of a clip: consecutive frames or a still, at times with the masks of an object in them."""

from dataclasses import dataclass

import cv2
import numpy as np

from tools.nano.bank_files import Bank, Track

TRACKED, MOVING = 0.5, 0.25  # shares of clips with real masks, and of other real frames; the rest are stills
STRIDES = (0, 1, 1, 1, 2, 3)  # frames of the bank from one frame of the clip to the next; 0 is a still


@dataclass(frozen=True)
class Backdrop:
    """What is behind the made objects."""

    frames: np.ndarray  # (frame, side, side, 3) uint8, RGB
    mask: np.ndarray | None  # (frame, side, side) bool, of the real object
    track: Track | None


def backdrop(bank: Bank, rng: np.random.Generator, cameras: np.ndarray, side_px: int) -> Backdrop:
    """Return a backdrop seen through moving cameras: (frame, 3, 3), in pixels of the clip."""
    draw, count = rng.random(), len(cameras)
    track = bank.draw_track(rng) if draw < TRACKED and bank.tracks else None
    if track is not None:
        frames, first, length = bank.sources[track.source].frames, track.first_frame, len(track)
    else:
        frames, first = bank.sources[int(rng.integers(len(bank.sources)))].frames, 0
        length = len(frames)
    stride = 0 if track is None and draw > TRACKED + MOVING else rng.choice(STRIDES)
    offsets = there_and_back(int(rng.integers(length)), int(stride) * rng.choice([-1, 1]), count, length)
    into = cameras @ _window(rng, frames.shape[1:3], side_px)
    images = np.stack([_warped(frames[first + offset], into[t], side_px) for t, offset in enumerate(offsets)])
    if track is None:
        return Backdrop(images, None, None)
    masks = [
        _warped(track.mask(offset) * 255, into[t], side_px, cv2.BORDER_CONSTANT) > 127
        for t, offset in enumerate(offsets)
    ]
    return Backdrop(images, np.stack(masks), track)


def there_and_back(start: int, stride: int, count: int, length: int) -> list[int]:
    """Return `count` positions in [0, length) from `start` on, turning back at either end.

    >>> there_and_back(1, 1, 6, 4)
    [1, 2, 3, 2, 1, 0]
    """
    if length == 1:
        return [0] * count
    period = 2 * (length - 1)
    places = [(start + stride * number) % period for number in range(count)]
    return [min(place, period - place) for place in places]


def _window(rng: np.random.Generator, size_hw: tuple[int, int], side_px: int) -> np.ndarray:
    """Return the matrix from a frame's pixels to the clip's: a part of it, squeezed into the square."""
    height, width = size_hw
    share = rng.uniform(0.55, 1.0)
    scale = side_px / (np.array([width, height]) * share)
    room = (1 - share) / 2
    middle = np.array([width, height]) * (0.5 + rng.uniform(-room, room, 2))
    matrix = np.diag([*scale, 1.0])
    if rng.random() < 0.5:
        matrix[0, 0] *= -1
    matrix[:2, 2] = side_px / 2 - matrix[:2, :2] @ middle
    return matrix


def _warped(
    image: np.ndarray, into: np.ndarray, side_px: int, border: int = cv2.BORDER_REFLECT_101
) -> np.ndarray:
    return cv2.warpAffine(image, into[:2], (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=border)
