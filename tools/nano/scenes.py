"""Scenes: made objects over a backdrop, drawn back to front, and which pixels of each can be seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tools.nano.bank_files import PATCH_PX
from tools.nano.motion import Path
from tools.nano.photometry import smeared
from tools.nano.sprites import Look, Sprite

REAL = 255  # label of the real object of the backdrop
EDGE_SIGMA_PX = 0.7


@dataclass(frozen=True)
class Actor:
    """A made object on its way."""

    sprite: Sprite
    path: Path
    shutter: float = 0.0  # share of the time between two frames that the motion is smeared over


def paint(
    frames: np.ndarray,
    actors: Sequence[Actor],
    cameras: np.ndarray,
    real_mask: np.ndarray | None,
    in_front: bool,
) -> np.ndarray:
    """Draw the actors into `frames`, the last one in front, and return who is seen where.

    Args:
        frames: (frame, side, side, 3) uint8; changed.
        actors: Their labels are 1, 2, ...
        cameras: (frame, 3, 3), pixels of the scene to pixels of the frame.
        real_mask: (frame, side, side) bool, of the real object.
        in_front: The real object is in front of the actors, not behind them.

    Returns:
        (frame, side, side) uint8: an actor's label, REAL, or 0.
    """
    labels = np.zeros(frames.shape[:3], np.uint8)
    if real_mask is not None:
        labels[real_mask] = REAL
    behind = frames.copy() if in_front else frames
    for label, actor in enumerate(actors, 1):
        for frame in np.flatnonzero(actor.path.shown):
            _draw(frames[frame], labels[frame], actor, label, int(frame), cameras)
    if in_front and real_mask is not None:
        frames[real_mask] = behind[real_mask]
        labels[real_mask] = REAL
    return labels


def _draw(
    image: np.ndarray, labels: np.ndarray, actor: Actor, label: int, frame: int, cameras: np.ndarray
) -> None:
    side = len(image)
    into = cameras[frame] @ actor.path.affine(frame, PATCH_PX, side)
    way = _way_px(actor, frame, cameras, into, side) * actor.shutter
    middle = into[:2] @ [PATCH_PX / 2, PATCH_PX / 2, 1]
    reach = np.abs(into[:2, :2]).sum(1) * PATCH_PX / 2 + 2 + np.minimum(np.abs(way), 41) / 2
    left, top = np.maximum(np.floor(middle - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(middle + reach), side).astype(int)
    if right - left < 2 or bottom - top < 2:
        return
    into[:2, 2] -= left, top
    colour, cover = _seen(actor.sprite.at(frame), into[:2], (int(right - left), int(bottom - top)), way)
    window = image[top:bottom, left:right]
    share = cover.astype(np.float32)[..., None] / 255
    window[:] = (window + share * (colour.astype(np.float32) - window) + 0.5).astype(np.uint8)
    labels[top:bottom, left:right][cover > 127] = label


def _seen(
    look: Look, into: np.ndarray, size_wh: tuple[int, int], way_px: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return colour and cover (0 to 255) of a look in a window of the frame."""
    shrinking = 0.5 * abs(np.linalg.det(into[:, :2])) ** -0.5
    texture, shape = look.texture, look.shape
    if shrinking > 0.8:  # a small object's texture would flicker otherwise
        texture, shape = (cv2.GaussianBlur(patch, (0, 0), shrinking) for patch in (texture, shape))
    colour = cv2.warpAffine(texture, into, size_wh, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.GaussianBlur(cv2.warpAffine(shape, into, size_wh), (0, 0), EDGE_SIGMA_PX)
    return smeared(colour, way_px), smeared(cover, way_px)


def _way_px(actor: Actor, frame: int, cameras: np.ndarray, into: np.ndarray, side: int) -> np.ndarray:
    """Return how far the actor's middle came since the frame before; on the first, how far it will."""
    other = frame - 1 if frame else min(1, len(cameras) - 1)
    before = cameras[other] @ actor.path.affine(other, PATCH_PX, side)
    middle = np.array([PATCH_PX / 2, PATCH_PX / 2, 1])
    return np.clip((into - before)[:2] @ middle, -side / 4, side / 4)
