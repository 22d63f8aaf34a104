"""The figures of the comparison's rows, and how rows relate to each other."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from benchmarks.agreement import Agreement
from benchmarks.floor import IMAGE_SIZE_PX, floor_ms
from benchmarks.measure import Measured
from benchmarks.settings import OURS, Setting


@dataclass(frozen=True)
class Peak:
    """What a device can do at most."""

    tflops: float  # of matrix products in bf16
    terabytes_per_second: float  # read and written


@dataclass(frozen=True)
class Figure:
    """One row: a setting and what became of it."""

    setting: Setting
    measured: Measured | None = None
    problem: str | None = None  # why it was not measured
    agreement: Agreement | None = None  # with the official masks in fp32, where those are known

    def floor_share(self, peak: Peak, rewritten: bool) -> float | None:
        """Return the least time of a frame over the time it took, or None where the least is not known."""
        setting = self.setting
        least_ms = floor_ms(setting.model, setting.objects, peak.tflops, peak.terabytes_per_second, rewritten)
        counted = setting.device == "cuda" and setting.image_size == IMAGE_SIZE_PX
        if self.measured is None or least_ms is None or not counted:
            return None
        return least_ms / 1000 * self.measured.frames_per_second


def by_scenario(figures: Iterable[Figure]) -> list[list[Figure]]:
    """Return neighbouring figures in groups that can be compared."""
    return [list(group) for _, group in groupby(figures, key=lambda figure: figure.setting.scenario)]


def best_peer_frames_per_second(figures: Sequence[Figure]) -> float | None:
    """Return the speed of the fastest system that is not ours, in any precision."""
    speeds = [f.measured.frames_per_second for f in figures if f.measured and f.setting.system not in OURS]
    return max(speeds, default=None)


def as_json(figures: Sequence[Figure], peak: Peak) -> list[dict[str, Any]]:
    """Return one flat mapping a row; what is not known is null."""
    return [
        _flat(figure, best_peer_frames_per_second(group), peak)
        for group in by_scenario(figures)
        for figure in group
    ]


def _flat(figure: Figure, best_peer: float | None, peak: Peak) -> dict[str, Any]:
    setting = {name: value for name, value in asdict(figure.setting).items() if name != "weights"}
    measured = figure.measured._asdict() if figure.measured else dict.fromkeys(Measured._fields)
    speed = measured["frames_per_second"]
    return {
        **setting,
        "weights": "trained" if figure.setting.trained else "random",
        "problem": figure.problem,
        **measured,
        "object_frames_per_second": speed and speed * figure.setting.objects,
        "ratio_to_best_peer": speed and best_peer and speed / best_peer,
        "floor_share_official": figure.floor_share(peak, rewritten=False),
        "floor_share_rewritten": figure.floor_share(peak, rewritten=True),
        "iou_mean": figure.agreement and figure.agreement.mean,
        "iou_minimum": figure.agreement and figure.agreement.minimum,
    }
