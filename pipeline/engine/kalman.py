"""Where a box is going: a Kalman filter of constant velocity, with noise that goes by the size of the box.

Source: Bewley et al., Simple Online and Realtime Tracking, arXiv 1602.00763; the weights of noise are
ByteTrack's, each side's by its own length as in BoT-SORT.
"""

from typing import NamedTuple

import numpy as np

POSITION_NOISE, VELOCITY_NOISE = 1 / 20, 1 / 160  # of the box's size

_STEP = np.eye(8) + np.eye(8, k=4)  # position += velocity
_SEEN = np.eye(4, 8)  # of the state


class Motion(NamedTuple):
    """A box, centre and size, and their velocities, in pixels and pixels a frame."""

    mean: np.ndarray  # (8,): x, y, width, height, and the velocity of each
    covariance: np.ndarray  # (8, 8)

    @property
    def box_xyxy(self) -> np.ndarray:
        centre, size = self.mean[:2], self.mean[2:4]
        return np.concatenate([centre - size / 2, centre + size / 2])


def started(box_xyxy: np.ndarray) -> Motion:
    """Return the motion of a box that was seen once."""
    seen = _measured(box_xyxy)
    deviations = np.concatenate([2 * POSITION_NOISE * _sizes(seen), 10 * VELOCITY_NOISE * _sizes(seen)])
    return Motion(np.concatenate([seen, np.zeros(4)]), np.diag(deviations**2))


def predicted(motion: Motion) -> Motion:
    """Return the motion one frame later."""
    sizes = _sizes(motion.mean[:4])
    noise = np.concatenate([POSITION_NOISE * sizes, VELOCITY_NOISE * sizes])
    return Motion(_STEP @ motion.mean, _STEP @ motion.covariance @ _STEP.T + np.diag(noise**2))


def corrected(motion: Motion, box_xyxy: np.ndarray) -> Motion:
    """Return a predicted motion, corrected by the box that was seen."""
    noise = np.diag((POSITION_NOISE * _sizes(motion.mean[:4])) ** 2)
    spread = _SEEN @ motion.covariance @ _SEEN.T + noise
    gain = np.linalg.solve(spread, _SEEN @ motion.covariance).T
    mean = motion.mean + gain @ (_measured(box_xyxy) - motion.mean[:4])
    return Motion(mean, motion.covariance - gain @ spread @ gain.T)


def _measured(box_xyxy: np.ndarray) -> np.ndarray:
    return np.concatenate([(box_xyxy[:2] + box_xyxy[2:]) / 2, box_xyxy[2:] - box_xyxy[:2]])


def _sizes(box_xywh: np.ndarray) -> np.ndarray:
    """Return what each part's noise is a share of: width, height, and both again; at least a pixel."""
    return np.tile(np.maximum(box_xywh[2:4], 1.0), 2)
