"""Masks as COCO compressed run lengths, and what can be read off the runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from pipeline.records import Rle

Box = tuple[float, float, float, float]


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

    >>> tight_box_xyxy(Rle((2, 2), b"22"))  # two pixels without, two with
    (1.0, 0.0, 2.0, 2.0)
    """
    x, y, width, height = (float(value) for value in coco.toBbox(_coco(rle)))
    return (x, y, x + width, y + height) if width and height else None


def _coco(rle: Rle) -> Any:
    return {"size": list(rle.size_hw), "counts": rle.counts}
