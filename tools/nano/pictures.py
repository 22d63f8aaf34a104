"""Pictures of whole objects, with alpha for their shape: their parts differ, as those of real things do."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tools.nano.bank_files import PATCH_PX
from tools.nano.silhouettes import centred, to_patch

INPAINT_RADIUS_PX = 3


def read_pictures(folder: Path, without: Sequence[str]) -> np.ndarray:
    """Return the pictures of a folder: (picture, PATCH_PX, PATCH_PX, 4) uint8, RGB and alpha.

    Args:
        folder: Of images with alpha; others, and what is tiny, thin or in pieces, are left out.
        without: No name of a file may contain one of these: variants that are nearly alike.
    """
    names = [path for path in sorted(folder.glob("*")) if not any(part in path.stem for part in without)]
    pictures = [picture(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in names]
    fitting = [one for one in pictures if one is not None]
    return np.stack(fitting) if fitting else np.zeros((0, PATCH_PX, PATCH_PX, 4), np.uint8)


def picture(bgra: np.ndarray | None) -> np.ndarray | None:
    """Return the object in the middle of a patch, or None if it is unfit.

    Its colours go on beyond its edge, for the shape may change over them.
    """
    if bgra is None or bgra.dtype != np.uint8 or bgra.ndim != 3 or bgra.shape[2] != 4:
        return None
    mask = (bgra[..., 3] > 127).astype(np.uint8)
    if not mask.any() or to_patch(mask) is None:
        return None
    x, y, width, height = cv2.boundingRect(mask)
    patch = centred(np.ascontiguousarray(bgra[y : y + height, x : x + width]))
    unknown = (patch[..., 3] < 255).astype(np.uint8)
    bgr = cv2.inpaint(np.ascontiguousarray(patch[..., :3]), unknown, INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    return np.dstack([bgr[..., ::-1], patch[..., 3]])
