"""Whether something grows: the slope of samples along a video, and how sure it is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

STRETCHES = 20  # neighbouring samples are alike, their means over long stretches hardly
CONFIDENCE = 0.95


class Slope(NamedTuple):
    """Growth per 1,000 frames, and the interval that it lies in with 95 % confidence."""

    per_1000_frames: float
    low: float
    high: float


def slope(frames: Sequence[int], values: Sequence[float]) -> Slope | None:
    """Return the slope of the line through the means of 20 stretches; None if there are fewer samples."""
    if len(frames) < STRETCHES:
        return None
    xs = [part.mean() / 1000 for part in np.array_split(np.asarray(frames, float), STRETCHES)]
    ys = [part.mean() for part in np.array_split(np.asarray(values, float), STRETCHES)]
    line = stats.linregress(xs, ys)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, STRETCHES - 2) * line.stderr
    return Slope(float(line.slope), float(line.slope - reach), float(line.slope + reach))
