"""What made videos are put together from: backdrops of real rooms, sprites, pasting that knows the truth."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import pipeline.bundled
from pipeline.inputs.video import decode_video

SIZE_HW = (270, 480)
CLIPS = Path(pipeline.bundled.__file__).parent / "clips"
MARGIN_PX = 40  # that a backdrop is larger than a frame, on every side: a camera may sway within it


class Painted(NamedTuple):
    """One frame of a made video, and what is seen on it."""

    image: np.ndarray  # (height, width, 3) uint8 RGB
    labels: np.ndarray  # (height, width) uint8: object ids, 0 is background


class Place(NamedTuple):
    """Where a sprite is on a frame."""

    x: float  # of its centre, pixels
    y: float
    scale: float = 1.0
    turn: float = 0.0  # radians


@dataclass(frozen=True)
class Sprite:
    """Something to be pasted."""

    image: np.ndarray  # (height, width, 3) float32 RGB, 0 to 255
    opacity: np.ndarray  # (height, width) float32, 0 to 1

    def shaded(self, gain: float) -> "Sprite":
        """Return the sprite in other light."""
        return Sprite(np.clip(self.image * gain, 0, 255), self.opacity)


def blob(seed: int, radius_px: float, rgb: tuple[int, int, int]) -> Sprite:
    """Return a lumpy ball of one colour, with a grain and a dark band across: clear, but not flat."""
    random = np.random.default_rng(seed)
    side = int(2 * radius_px * 1.5)
    ys, xs = np.mgrid[:side, :side] - (side - 1) / 2
    angles, radii = np.arctan2(ys, xs), np.hypot(xs, ys)
    lumps = sum(random.uniform(0.02, 0.07) * np.cos(k * angles + random.uniform(0, 6.28)) for k in (2, 3, 5))
    opacity = cv2.GaussianBlur((radii < radius_px * (1 + lumps)).astype(np.float32), (0, 0), 0.8)
    band = 1 - 0.45 * (np.abs(ys - radius_px * random.uniform(-0.3, 0.3)) < radius_px * 0.16)
    shade = band * (1 + 0.2 * _grain(random, (side, side), 3)) * (1.1 - 0.25 * radii / radius_px)
    return Sprite(np.clip(shade[..., None] * np.float32(rgb), 0, 255).astype(np.float32), opacity)


def bar(seed: int, width_px: int) -> Sprite:
    """Return a wooden post as high as a frame, and more."""
    shape = (SIZE_HW[0] + 2 * MARGIN_PX, width_px)
    random = np.random.default_rng(seed)
    shade = 1 + 0.25 * _grain(random, shape, 2) + 0.1 * np.sin(np.arange(width_px) / 3)
    image = np.clip(shade[..., None] * np.float32((120, 85, 55)), 0, 255)
    return Sprite(image.astype(np.float32), np.ones(shape, np.float32))


def backdrop(clip: str, frame_index: int, top: float) -> np.ndarray:
    """Return a part of a bundled clip's frame as float32 RGB, a frame's size and a margin.

    Args:
        top: where the part begins, as a share of the height that is left over.
    """
    height, width = (size + 2 * MARGIN_PX for size in SIZE_HW)
    image = next(islice(decode_video(CLIPS / clip), frame_index, None)).image
    cut = min(image.shape[0], round(image.shape[1] * height / width))
    first = round(top * (image.shape[0] - cut))
    part = cv2.resize(image[first : first + cut], (width, height), interpolation=cv2.INTER_AREA)
    return part.astype(np.float32)


def paint(
    backdrop: np.ndarray, sway_xy: tuple[float, float], sprites: list[tuple[int, Sprite, Place]]
) -> Painted:
    """Return a frame: a part of the backdrop, and the sprites upon it, the later ones in front.

    Args:
        sway_xy: by how much the camera is off the backdrop's middle, at most `MARGIN_PX`.
        sprites: (object id, sprite, place); object 0 hides others and is itself nothing.
    """
    moved = np.float32([[1, 0, -MARGIN_PX - sway_xy[0]], [0, 1, -MARGIN_PX - sway_xy[1]]])
    image = cv2.warpAffine(backdrop, moved, SIZE_HW[::-1], flags=cv2.INTER_LINEAR)
    labels = np.zeros(SIZE_HW, np.uint8)
    for object_id, sprite, place in sprites:
        colours, opacity = _placed(sprite, place)
        image += (colours - image) * opacity[..., None]
        labels[opacity > 0.5] = object_id
    return Painted(image.round().astype(np.uint8), labels)


def _placed(sprite: Sprite, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Return the sprite's colours and opacity on a whole frame."""
    cos, sin = place.scale * np.cos(place.turn), place.scale * np.sin(place.turn)
    middle = (np.float32(sprite.opacity.shape[::-1]) - 1) / 2
    turned = np.float32([[cos, -sin], [sin, cos]])
    affine = np.column_stack([turned, np.float32([place.x, place.y]) - turned @ middle])
    size = SIZE_HW[::-1]
    colours = cv2.warpAffine(sprite.image, affine, size, borderMode=cv2.BORDER_REPLICATE)
    return colours, cv2.warpAffine(sprite.opacity, affine, size)


def _grain(random: np.random.Generator, shape: tuple[int, int], sigma_px: float) -> np.ndarray:
    """Return smooth noise of mean 0 and deviation 1."""
    noise = cv2.GaussianBlur(random.standard_normal(shape).astype(np.float32), (0, 0), sigma_px)
    return (noise - noise.mean()) / noise.std()
