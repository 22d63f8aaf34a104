"""Fill small holes and remove small specks, on every device.

The official predictor fills holes with a CUDA extension that is often not built, and skips the
step without it. This does the same on the CPU for the few kilobytes of a low-resolution mask.
"""

import cv2
import numpy as np
import torch

HOLE_LOGIT = 0.1  # as `fill_holes_in_mask_scores` of sam2/utils/misc.py
SPECK_LOGIT = -0.1


def clean_regions(logits: torch.Tensor, max_hole_px: int, max_speck_px: int) -> torch.Tensor:
    """Return mask logits without holes of up to `max_hole_px` and specks of up to `max_speck_px`.

    Holes are 8-connected regions of logits <= 0, specks 8-connected regions of logits > 0. Areas
    are counted in pixels of `logits`, which has a quarter of the model's input size.

    Args:
        logits: (object, 1, height, width) float32.
        max_hole_px: 0 fills none.
        max_speck_px: 0 removes none.
    """
    if not max_hole_px and not max_speck_px:
        return logits
    masks = (logits > 0).cpu().numpy()
    if max_hole_px:
        holes = _small_regions(~masks, max_hole_px).to(logits.device)
        logits = logits.masked_fill(holes, HOLE_LOGIT)
    if max_speck_px:
        specks = _small_regions(masks, max_speck_px).to(logits.device)
        logits = logits.masked_fill(specks, SPECK_LOGIT)
    return logits


def _small_regions(masks: np.ndarray, max_area_px: int) -> torch.Tensor:
    """Return the pixels of all regions of at most `max_area_px`; both (object, 1, height, width) bool."""
    found = np.zeros_like(masks)
    for found_2d, mask in zip(found[:, 0], masks[:, 0], strict=True):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        small = stats[:, cv2.CC_STAT_AREA] <= max_area_px
        small[0] = False  # label 0 is what is not in the mask
        found_2d[:] = small[labels]
    return torch.from_numpy(found)
