"""Clips with true masks: real frames, made objects before them, and what happens to objects in real videos.

They move fast or slowly, deform, turn, are hidden and come back, leave and come back, look like each other,
are small; the camera moves, light changes, and some clips are cut to another scene for a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.nano.backdrop import Backdrop, backdrop
from tools.nano.bank_files import Bank
from tools.nano.motion import WIDE_SCREEN, Path, camera, cross, leave, vanish, wander
from tools.nano.photometry import develop, smeared
from tools.nano.scenes import REAL, Actor, paint
from tools.nano.sprites import Look, cut_out, like, new_look, new_sprite

LEAST_AREA = 0.001  # of the frame, for an object to be prompted: 8 x 8 pixels of 256 x 256
LEAVES, VANISHES, IS_CROSSED, IS_CUT = (
    0.16,
    0.05,
    0.22,
    0.07,
)  # shares of objects, and of clips, in eventful clips


@dataclass(frozen=True)
class Clip:
    """Frames and the visible parts of some objects, each of which is visible on the first frame."""

    frames: np.ndarray  # (frame, side, side, 3) uint8, RGB
    masks: np.ndarray  # (object, frame, side, side) bool


@dataclass(frozen=True)
class Wish:
    """What clip to make."""

    frames: int
    side_px: int
    objects: int  # at most
    eventful: float = 1.0  # how likely things happen, over what is usual


def make_clip(bank: Bank, rng: np.random.Generator, wish: Wish) -> Clip:
    """Return a clip. Equal generators give equal clips."""
    while True:
        clip = _attempt(bank, rng, wish)
        if len(clip.masks):
            return clip


def _attempt(bank: Bank, rng: np.random.Generator, wish: Wish) -> Clip:
    cameras = camera(rng, wish.frames, wish.side_px)
    ground = backdrop(bank, rng, cameras, wish.side_px)
    actors = _actors(bank, rng, wish, ground)
    frames = ground.frames
    labels = paint(frames, actors, cameras, ground.mask, in_front=rng.random() < 0.3)
    if rng.random() < 0.3:
        frames = _shaken(frames, cameras, rng.uniform(0.2, 0.6))
    if wish.frames > 2 and rng.random() < IS_CUT * wish.eventful:
        _cut(frames, labels, bank, rng)
    return Clip(develop(frames, rng), _targets(labels, len(actors), rng, wish.objects))


def _actors(bank: Bank, rng: np.random.Generator, wish: Wish, ground: Backdrop) -> list[Actor]:
    """Return the made objects, those in front last."""
    squeeze = rng.choice([WIDE_SCREEN, 1.0, 1 / WIDE_SCREEN], p=[0.6, 0.3, 0.1])
    colour = ground.frames[0].mean((0, 1))
    looks: list[Look] = []
    actors, before = [], []
    for _ in range(rng.integers(2, 6) if ground.mask is None else rng.integers(0, 4)):
        looks.append(_look(bank, rng, looks, ground))
        path = _eventful(wander(rng, wish.frames, squeeze), rng, wish)
        actors.append(Actor(new_sprite(looks[-1], bank, rng, colour), path, _shutter(rng)))
        if wish.frames > 2 and rng.random() < IS_CROSSED * wish.eventful:
            before.append(
                Actor(new_sprite(new_look(bank, rng), bank, rng, colour), cross(path, rng), _shutter(rng))
            )
    if ground.mask is not None and wish.frames > 2 and rng.random() < IS_CROSSED * wish.eventful:
        path = cross(_path_of(ground.mask), rng)
        before.append(Actor(new_sprite(new_look(bank, rng), bank, rng, colour), path, _shutter(rng)))
    return actors + before


def _shutter(rng: np.random.Generator) -> float:
    return rng.uniform(0.2, 0.8) if rng.random() < 0.5 else 0.0


def _look(bank: Bank, rng: np.random.Generator, others: Sequence[Look], ground: Backdrop) -> Look:
    """Return a new look, or often one like another object of the clip, the real one included."""
    if others and rng.random() < 0.3:
        return like(others[int(rng.integers(len(others)))], bank, rng)
    if ground.track is not None and rng.random() < 0.2:
        return cut_out(bank, rng, ground.track) or new_look(bank, rng)
    return new_look(bank, rng)


def _eventful(path: Path, rng: np.random.Generator, wish: Wish) -> Path:
    draw = rng.random() / max(wish.eventful, 1e-9)
    if wish.frames < 3 or draw >= LEAVES + VANISHES:
        return path
    return leave(path, rng) if draw < LEAVES else vanish(path, rng)


def _path_of(masks: np.ndarray) -> Path:
    """Return roughly where the real object is, for something to pass before it."""
    frames, side = masks.shape[:2]
    centre, size, last = np.empty((frames, 2)), np.empty(frames), (np.full(2, 0.5), 0.3)
    for frame, mask in enumerate(masks):
        rows, columns = np.nonzero(mask)
        if len(rows):
            low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()])
            last = (low + high) / 2 / side, float((high - low).max()) / side
        centre[frame], size[frame] = last
    return Path(centre, size, np.zeros(frames), np.zeros(frames), 1.0, np.ones(frames, bool))


def _shaken(frames: np.ndarray, cameras: np.ndarray, shutter: float) -> np.ndarray:
    """Smear each frame along the way that the camera moves its middle."""
    middle = np.array([frames.shape[2] / 2, frames.shape[1] / 2, 1])
    places = cameras[:, :2] @ middle
    ways = np.diff(places, axis=0, prepend=places[:1]) * shutter
    return np.stack([smeared(frame, way) for frame, way in zip(frames, ways, strict=True)])


def _cut(frames: np.ndarray, labels: np.ndarray, bank: Bank, rng: np.random.Generator) -> None:
    """Put another scene, without any of the objects, in the place of some frames."""
    count, side = frames.shape[:2]
    start = int(rng.integers(1, count))
    stop = min(count, start + int(rng.integers(1, count)))
    other = backdrop(bank, rng, camera(rng, stop - start, side), side)
    frames[start:stop], labels[start:stop] = other.frames, 0


def _targets(labels: np.ndarray, actors: int, rng: np.random.Generator, most: int) -> np.ndarray:
    """Return the masks of up to `most` objects that the first frame shows, the real one first."""
    areas = np.bincount(labels[0].ravel(), minlength=256)
    fitting = np.flatnonzero(areas[1 : actors + 1] >= LEAST_AREA * labels[0].size) + 1
    chosen = [REAL] if areas[REAL] >= LEAST_AREA * labels[0].size else []
    chosen += rng.permutation(fitting).tolist()
    return (
        np.stack([labels == label for label in chosen[:most]])
        if chosen
        else np.zeros((0, *labels.shape), bool)
    )
