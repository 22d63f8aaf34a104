"""What speaks against a mask: signals from the rows of the mask table, and how bad they are together.

No signal knows the truth. Each says that something happened that good masks rarely do.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclass
class QualityConfig:
    """From where on a signal counts."""

    object_score: float = 1.0  # a logit nearer to 0 is no clear answer to whether the object is visible
    iou_score: float = 0.4  # the model's own estimate below this
    stability_score: float = 0.3  # below this
    area_ratio: float = 1.8  # larger, or smaller by as much, than in the last frames
    moved: float = 0.6  # from frame to frame, in square roots of the area
    stray_share: float = 0.15  # of a mask outside its largest island
    recent_frames: int = 8  # visible ones, whose median area is what is usual

    def __post_init__(self):
        if self.area_ratio <= 1:
            raise ValueError(f"quality.area_ratio must be above 1, got {self.area_ratio}")
        if self.recent_frames < 1:
            raise ValueError(f"quality.recent_frames must be 1 or more, got {self.recent_frames}")
        for name in ("object_score", "iou_score", "stability_score", "moved", "stray_share"):
            if getattr(self, name) < 0:
                raise ValueError(f"quality.{name} must be 0 or more, got {getattr(self, name)}")


@dataclass(frozen=True)
class Masklet:
    """One object's rows, in frame order; arrays of (frame,) unless said otherwise."""

    frame_index: np.ndarray  # int
    area_px: np.ndarray
    box_xyxy: np.ndarray  # (frame, 4), NaN where the mask is empty
    object_score: np.ndarray
    iou_score: np.ndarray
    stability_score: np.ndarray  # NaN where there is none
    prompted: np.ndarray  # bool
    size_hw: tuple[int, int]  # of the video

    def rows(self, which: np.ndarray) -> "Masklet":
        """Return some of its rows."""
        return replace(self, **{name: getattr(self, name)[which] for name in ARRAYS})

    def and_then(self, later: "Masklet") -> "Masklet":
        """Return its rows and later ones."""
        return replace(
            self, **{name: np.concatenate([getattr(self, name), getattr(later, name)]) for name in ARRAYS}
        )


ARRAYS = [each.name for each in fields(Masklet) if each.name != "size_hw"]


@dataclass(frozen=True)
class Signals:
    """What can be read off a masklet; arrays of (frame,), NaN where there is nothing to read."""

    area_ratio: np.ndarray
    moved: np.ndarray
    at_edge: np.ndarray  # bool
    was_lost: np.ndarray  # bool: empty now, and not a frame before

    def last(self, frames: int) -> "Signals":
        """Return those of the last frames."""
        return Signals(*(getattr(self, each.name)[-frames:] for each in fields(self)))


class Comparison:
    """Compares each frame of an object with those before, however the frames are cut into parts."""

    def __init__(self, config: QualityConfig):
        self.config = config
        self._recent: dict[int, Masklet] = {}  # by object id: what the next frames are compared with

    def signals(self, object_id: int, masklet: Masklet) -> Signals:
        """Return the signals of the object's next frames, one or more."""
        recent = self._recent.get(object_id)
        whole = masklet if recent is None else recent.and_then(masklet)
        last = len(whole.frame_index) - 1
        visible = np.flatnonzero(whole.area_px > 0)[-self.config.recent_frames :]
        self._recent[object_id] = whole.rows(np.union1d(visible, [last]))
        return signals_of(whole, self.config).last(len(masklet.frame_index))


def signals_of(masklet: Masklet, config: QualityConfig) -> Signals:
    """Compare each frame with the last ones that the object was visible on."""
    usual = usual_area(masklet.area_px, config.recent_frames)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(masklet.area_px > 0, masklet.area_px / usual, np.nan)
        moved = _steps(masklet.box_xyxy) / np.sqrt(usual)
    seen = masklet.area_px > 0
    return Signals(ratio, moved, at_edge(masklet), np.r_[False, seen[:-1] & ~seen[1:]])


def usual_area(area_px: np.ndarray, frames: int) -> np.ndarray:
    """Return the median area of the last so many visible frames before each; NaN before the second one.

    >>> usual_area(np.array([10, 0, 12, 14, 90]), 3)
    array([nan, 10., 10., 11., 12.])
    """
    seen = np.flatnonzero(area_px > 0)
    padded = np.r_[np.full(frames, np.nan), area_px[seen].astype(float)]
    # A row of only NaN, before the first visible frame, has no median.
    medians = np.full(len(seen) + 1, np.nan)
    if len(seen):
        medians[1:] = np.nanmedian(sliding_window_view(padded, frames)[1:], axis=1)
    return medians[np.searchsorted(seen, np.arange(len(area_px)))]


def at_edge(masklet: Masklet) -> np.ndarray:
    """Return (frame,) bool: the box touches the frame's edge."""
    height, width = masklet.size_hw
    x0, y0, x1, y1 = masklet.box_xyxy.T
    with np.errstate(invalid="ignore"):
        return (x0 <= 0) | (y0 <= 0) | (x1 >= width) | (y1 >= height)


def severities(
    masklet: Masklet, signals: Signals, stray_share: np.ndarray, config: QualityConfig
) -> dict[str, np.ndarray]:
    """Return by reason how bad it is on each frame, (frame,) from 0 to 1; prompted frames are fine.

    A person said where the object is there. At the edge areas change by right, so they count half.
    """
    edge = np.where(signals.at_edge, 0.5, 1.0)
    jump = np.abs(np.log(np.where(np.isnan(signals.area_ratio), 1.0, signals.area_ratio)))
    found = {
        "lost": signals.was_lost.astype(float),
        "unsure_if_visible": _below(np.abs(masklet.object_score), config.object_score),
        "low_iou_score": _below(masklet.iou_score, config.iou_score) * (masklet.area_px > 0),
        "unstable": _below(masklet.stability_score, config.stability_score),
        "area_jump": _above(jump, np.log(config.area_ratio)) * edge,
        "moved": _above(signals.moved, config.moved),
        "stray_islands": _above(stray_share, config.stray_share),
    }
    return {name: np.where(masklet.prompted, 0.0, values) for name, values in found.items()}


def _steps(box_xyxy: np.ndarray) -> np.ndarray:
    """Return how far each box's middle is from that of the frame before, in pixels."""
    middles = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    return np.r_[np.nan, np.hypot(*np.diff(middles, axis=0).T)]


def _below(values: np.ndarray, limit: float) -> np.ndarray:
    """Return 0 at or above a limit, and up to 1 at 0."""
    return np.clip(np.nan_to_num(1 - values / max(limit, 1e-9), nan=0.0), 0, 1)


def _above(values: np.ndarray, limit: float) -> np.ndarray:
    """Return 0 up to a limit, 0.5 just above it, and 1 from twice of it on."""
    over = np.nan_to_num(values / max(limit, 1e-9), nan=0.0)
    return np.where(over > 1, np.clip(over / 2, 0, 1), 0.0)
