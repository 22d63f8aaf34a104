"""How much of a mask lies apart from its main part."""

import cv2
import numpy as np

from pipeline.outputs.rle import decode_mask
from pipeline.records import Rle

SIDE_PX = 256  # the longer side of what is looked at: islands that matter are large enough


def stray_share(rle: Rle) -> float:
    """Return the share of a mask's pixels outside its largest connected part, 0 to 1; 0 where it is empty."""
    step = max(1, max(rle.size_hw) // SIDE_PX)
    mask = decode_mask(rle)[::step, ::step].astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas_px = statistics[1:, cv2.CC_STAT_AREA]
    return float(1 - areas_px.max() / areas_px.sum()) if len(areas_px) else 0.0
