"""Masks as COCO compressed run lengths, and what can be read off the runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from pipeline.records import Rle

Box = tuple[float, float, float, float]


def encode_masks(masks: np.ndarray) -> list[Rle]:
    """Return the run lengths of each object's mask.

    Args:
        masks: (object, height, width) bool.
    """
    return [_encode(mask) for mask in masks]


def decode_mask(rle: Rle) -> np.ndarray:
    """Return the mask, (height, width) bool."""
    return coco.decode(_coco(rle)).view(bool)


def decode_masks(rles: Sequence[Rle]) -> np.ndarray:
    """Return the masks of at least one object, all of one size, (object, height, width) bool."""
    return np.stack([decode_mask(rle) for rle in rles])


def area_px(rle: Rle) -> int:
    """Return how many pixels the mask has, without decoding it."""
    return int(coco.area(_coco(rle)))


def tight_box_xyxy(rle: Rle) -> Box | None:
    """Return x0, y0, x1, y1 in pixels, half-open, without decoding; None for an empty mask.

    >>> tight_box_xyxy(encode_masks(np.array([[[False, True], [False, True]]]))[0])
    (1.0, 0.0, 2.0, 2.0)
    """
    x, y, width, height = (float(value) for value in coco.toBbox(_coco(rle)))
    return (x, y, x + width, y + height) if width and height else None


def _encode(mask: np.ndarray) -> Rle:
    # COCO reads column by column. Mask by mask is several times faster than one (h, w, object) block.
    encoded: Any = coco.encode(np.asfortranarray(mask).view(np.uint8))
    return Rle(size_hw=(mask.shape[0], mask.shape[1]), counts=encoded["counts"])


def _coco(rle: Rle) -> Any:
    return {"size": list(rle.size_hw), "counts": rle.counts}
