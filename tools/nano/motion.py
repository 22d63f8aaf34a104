"""Where things are on each frame of a clip: paths of objects, what happens to them, and the camera.

Lengths are shares of the frame's side.
"""

from dataclasses import dataclass

import numpy as np

SLOWEST, FASTEST = 0.001, 0.12  # a frame; drawn evenly by order of magnitude
SMALLEST, LARGEST = 0.15, 0.9  # longer side of an object
WIDE_SCREEN = 9 / 16  # the model sees a square, into which most videos are squeezed


@dataclass(frozen=True)
class Path:
    """An object's way through a clip."""

    centre: np.ndarray  # (frame, 2) x, y
    size: np.ndarray  # (frame,) longer side
    angle: np.ndarray  # (frame,) radians
    shear: np.ndarray  # (frame,)
    aspect: float  # width by height, over that of the shape
    shown: np.ndarray  # (frame,) bool

    def affine(self, frame: int, patch_px: int, side_px: int) -> np.ndarray:
        """Return the matrix from pixels of the patch to those of the frame: (3, 3)."""
        cos, sin = np.cos(self.angle[frame]), np.sin(self.angle[frame])
        turn = np.array([[cos, -sin + self.shear[frame]], [sin, cos]])
        # Turned first and squeezed afterwards, as a lens and a resize do it.
        stretch = np.diag([np.sqrt(self.aspect), 1 / np.sqrt(self.aspect)])
        linear = stretch @ turn * self.size[frame] * side_px / patch_px
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = self.centre[frame] * side_px - linear @ [patch_px / 2, patch_px / 2]
        return matrix


def drift(rng: np.random.Generator, frames: int, amount: float) -> np.ndarray:
    """Return a smooth path from 0: a steady part and a swing, each about `amount` a frame."""
    time = np.arange(frames)
    period, phase = rng.uniform(6, 30), rng.uniform(0, 2 * np.pi)
    swing = np.sin(2 * np.pi * time / period + phase) - np.sin(phase)
    return amount * (rng.normal() * time + rng.normal() * 3 * swing)


def wander(rng: np.random.Generator, frames: int, squeeze: float) -> Path:
    """Return the path of an object: most turn back at the edges, the others may leave.

    Args:
        rng: Draws it.
        frames: How many.
        squeeze: Width by height of all objects of the clip, over their true one.
    """
    speed = np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST)))
    heading = rng.uniform(0, 2 * np.pi) + drift(rng, frames, rng.choice([0.02, 0.15]))
    steps = speed * np.stack([np.cos(heading), np.sin(heading)], 1) * rng.uniform(0.5, 1.5, (frames, 1))
    centre = rng.uniform(0.1, 0.9, 2) + np.cumsum(steps, 0) - steps[0]
    if rng.random() < 0.75:
        centre = 0.05 + 0.9 * np.abs((centre - 0.05) / 0.9 - 2 * np.round((centre - 0.05) / 1.8))
    lively = rng.choice([0.2, 1.0, 2.0])
    size = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
    start = rng.uniform(-0.6, 0.6) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    return Path(
        centre=centre,
        size=size * np.exp(np.clip(drift(rng, frames, 0.015 * lively), -0.7, 0.7)),
        angle=start + drift(rng, frames, 0.025 * lively),
        shear=drift(rng, frames, 0.01 * lively),
        aspect=float(squeeze * np.exp(rng.normal(0, 0.2))),
        shown=np.ones(frames, bool),
    )


def away(rng: np.random.Generator, frames: int) -> slice:
    """Return a span of frames, never the first one: half of them end with the clip."""
    start = int(rng.integers(1, frames))
    stop = (
        frames if rng.random() < 0.35 else min(frames, start + int(rng.integers(1, max(2, frames // 2 + 1))))
    )
    return slice(start, stop)


def leave(path: Path, rng: np.random.Generator) -> Path:
    """Let the object go out of the frame for some frames, and come back if they end before the clip."""
    gone = np.zeros(len(path.shown))
    gone[away(rng, len(gone))] = 1
    if rng.random() < 0.5:  # slower: half out for a frame on either side
        gone = np.maximum(gone, 0.5 * np.convolve(gone, [1, 0, 1], "same"))
        gone[0] = 0
    angle = rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    out = (1.05 + path.size[:, None] / 2) * way / np.abs(way).max()  # past an edge, not just past a circle
    return _replaced(path, centre=path.centre + gone[:, None] * 1.2 * out)


def vanish(path: Path, rng: np.random.Generator) -> Path:
    """Let the object be gone for some frames, from one frame to the next."""
    shown = path.shown.copy()
    shown[away(rng, len(shown))] = False
    return _replaced(path, shown=shown)


def cross(path: Path, rng: np.random.Generator) -> Path:
    """Return the path of something larger that passes before the object, or stops there a while."""
    frames = len(path.shown)
    meeting = rng.uniform(1, frames)
    time = np.arange(frames) - meeting
    waits = rng.uniform(0, frames / 4)
    time = np.sign(time) * np.maximum(0, np.abs(time) - waits)
    angle = rng.uniform(0, 2 * np.pi)
    reach = path.size.max() * rng.uniform(0.9, 1.4)
    way = np.array([np.cos(angle), np.sin(angle)]) * max(reach * rng.uniform(0.5, 1.2), 0.05)
    ahead = path.centre[min(frames - 1, int(meeting))]  # where the object is when they meet
    follows = rng.random() < 0.5
    centre = (path.centre if follows else ahead) + time[:, None] * way
    return _replaced(
        path, centre=centre, size=np.full(frames, reach), angle=path.angle * 0, shear=path.shear * 0
    )


def _replaced(path: Path, **changes) -> Path:
    return Path(**{**vars(path), **changes})


def camera(rng: np.random.Generator, frames: int, side_px: int) -> np.ndarray:
    """Return how the camera moves the whole picture, from the first frame on: (frame, 3, 3), in pixels.

    It pans, zooms and rolls smoothly, and in some clips it trembles.
    """
    lively = rng.choice([0, 0.5, 1.5, 4.0], p=[0.3, 0.3, 0.25, 0.15])
    pan = np.stack([drift(rng, frames, 0.008 * lively), drift(rng, frames, 0.005 * lively)], 1)
    if rng.random() < 0.3:
        pan[1:] += rng.normal(0, 0.006 * max(0.5, lively), (frames - 1, 2))
    zoom = np.exp(np.clip(drift(rng, frames, 0.006 * lively), -0.4, 0.4))
    roll = np.clip(drift(rng, frames, 0.006 * lively), -0.6, 0.6)
    matrices = np.tile(np.eye(3), (frames, 1, 1))
    matrices[:, 0, 0] = matrices[:, 1, 1] = zoom * np.cos(roll)
    matrices[:, 1, 0] = zoom * np.sin(roll)
    matrices[:, 0, 1] = -matrices[:, 1, 0]
    middle = np.full(2, side_px / 2)
    matrices[:, :2, 2] = np.clip(pan, -0.7, 0.7) * side_px + middle - matrices[:, :2, :2] @ middle
    return matrices
