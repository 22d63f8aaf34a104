"""Embeddings by a network of the user's own, from the pixels of an object's best frames."""

import importlib
from collections.abc import Callable, Collection, Iterator, Mapping

import cv2
import numpy as np

from pipeline.errors import UsageError
from pipeline.outputs.object_table import Embedding
from pipeline.outputs.rle import decode_mask
from pipeline.records import Frame, Rle

# From a crop, (height, width, 3) uint8 RGB, and its mask, (height, width) bool, to a vector, (channel,).
Extractor = Callable[[np.ndarray, np.ndarray], np.ndarray]


def load_extractor(name: str) -> Extractor:
    """Return the function `module:function`.

    Raises:
        UsageError: It can't be imported here.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"identity.extractor={name}: {error}; expected module:function, of a module that Python finds on "
            "this machine and on every worker (PYTHONPATH, or Ray's working directory)"
        ) from error


def embed(
    name: str,
    frames_at: Callable[[Collection[int]], Iterator[Frame]],
    masks: Mapping[int, Mapping[int, Rle]],
) -> dict[int, Embedding]:
    """Return the embedding of each object, the mean over its frames of vectors of length 1.

    Args:
        name: The extractor's.
        frames_at: Yields the video's frames of some indices.
        masks: By frame index and object id.
    """
    extract, vectors = load_extractor(name), {}
    for frame in frames_at(masks.keys()) if masks else ():
        for object_id, rle in masks[frame.index].items():
            vector = _unit(np.asarray(extract(*crop(frame.image, rle)), np.float64), name)
            vectors.setdefault(object_id, {})[frame.index] = vector
    return {
        object_id: Embedding(_unit(np.mean(list(found.values()), 0), name).astype(np.float32), list(found))
        for object_id, found in vectors.items()
    }


def crop(image: np.ndarray, rle: Rle) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of an object's tight box, (height, width, 3), and its mask there, bool.

    Args:
        image: Of any size; the mask is brought to it.
        rle: Of a mask that is not empty.
    """
    mask = decode_mask(rle)
    if mask.shape != image.shape[:2]:
        size_wh = (image.shape[1], image.shape[0])
        # Not by nearest neighbours, which lose what is smaller than a pixel of the image.
        mask = cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA) > 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return image[box], mask[box]


def _unit(vector: np.ndarray, name: str) -> np.ndarray:
    length = np.linalg.norm(vector)
    if vector.ndim != 1 or not np.isfinite(length) or length == 0:
        raise UsageError(
            f"identity.extractor={name}: gave {vector.shape} of length {length}, "
            "expected a vector, (channel,), finite and not all zero"
        )
    return vector / length
