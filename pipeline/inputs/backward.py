"""Frames last to first: decoders only go forward, so stretches of a video lie on disk for a while."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.records import Frame
from pipeline.storage.temporary import temporary_folder

NO_IMAGE = np.empty((0, 0, 3), np.uint8)


def backward(
    open_at: Callable[[int], Generator[Frame, None, None]],
    last_frame: int,
    max_bytes: int,
    folder: str | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames of a video from `last_frame` down to the first.

    Of n frames, n / (2 k) as many are decoded, where k fit into `max_bytes`.

    Args:
        open_at: From a frame's index to the frames from there on, all of one size; called once a stretch.
        max_bytes: Of disk that images may take.
        folder: Where; None: the system's folder for temporary files.
    """
    with closing(open_at(0)) as frames:
        at_once = max(1, max_bytes // next(frames).image.nbytes)
    with temporary_folder("backward", folder) as images:
        for stop in range(last_frame + 1, 0, -at_once):
            start = max(0, stop - at_once)
            with closing(open_at(start)) as frames:
                stretch = [_put(frame, images) for frame in islice(frames, stop - start)]
            yield from (_take(frame, images) for frame in reversed(stretch))


def _put(frame: Frame, images: Path) -> Frame:
    """Store a frame's image, and return the rest."""
    np.save(images / f"{frame.index}.npy", frame.image)
    return replace(frame, image=NO_IMAGE)


def _take(frame: Frame, images: Path) -> Frame:
    file = images / f"{frame.index}.npy"
    whole = replace(frame, image=np.load(file))
    file.unlink()
    return whole
