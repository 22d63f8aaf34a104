"""How little a mask depends on where its logits are cut off."""

import numpy as np
import torch

DELTA = 1.0  # of a logit, as in SAM's automatic mask generator


def stability_scores(logits: torch.Tensor) -> np.ndarray:
    """Return the IoU of each mask cut off a little higher and a little lower; NaN where neither has a pixel.

    As `calculate_stability_score` of the sam2 package, but at low resolution.

    Args:
        logits: (object, 1, height, width).

    Returns:
        (object,) float32.
    """
    high, low = ((logits > cut).flatten(1).sum(1).float() for cut in (DELTA, -DELTA))
    return (high / low).cpu().numpy()  # the one lies within the other
