"""Sequences with true masks: `frames/` and `masks/` in one folder, a mask beside each frame that has one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

UNSURE = 254  # neither object nor ground, in some data sets
LEAST_AREA_PX = 20


@dataclass(frozen=True)
class Sequence:
    """A video in frames, and what is known of its objects."""

    name: str
    frames: tuple[Path, ...]  # in order
    masks: dict[int, Path]  # by frame, from 0

    def labels(self, frame: int) -> np.ndarray:
        """Return the object at each pixel of a frame: (height, width) uint8, 0 is ground."""
        image = Image.open(self.masks[frame])
        return np.array(image if image.mode in ("P", "L") else image.convert("L"))

    def objects(self) -> list[int]:
        """Return the labels of the objects on the first frame."""
        values, areas = np.unique(self.labels(0), return_counts=True)
        return [int(value) for value in values[(areas >= LEAST_AREA_PX) & (values != 0) & (values != UNSURE)]]


def read_sequences(folder: Path) -> list[Sequence]:
    """Return all sequences at or below a folder whose first frame has a mask."""
    found = []
    for masks in sorted(folder.rglob("masks")):
        frames = tuple(
            sorted(path for path in (masks.parent / "frames").glob("*") if path.suffix.lower() == ".jpg")
        )
        position = {path.stem: index for index, path in enumerate(frames)}
        known = {position[path.stem]: path for path in sorted(masks.glob("*.png")) if path.stem in position}
        if 0 in known:
            found.append(Sequence(masks.parent.name, frames, known))
    return found


@contextmanager
def numbered(frames: tuple[Path, ...]) -> Iterator[Path]:
    """Give a folder in which the frames have the names that the official predictor wants: 00000.jpg, ..."""
    with TemporaryDirectory() as folder:
        for index, frame in enumerate(frames):
            (Path(folder) / f"{index:05d}.jpg").symlink_to(frame.resolve())
        yield Path(folder)
