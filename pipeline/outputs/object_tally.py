"""What the rows of one object come to: when it is visible, how large it is, how sure the model is of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.records import SURE_SHARE

KEY = ("video_id", "object_id")
AVERAGED = ("area_px", "object_score", "iou_score")


class ObjectTally:
    """Takes an object's rows part by part, twice: its highest score first, then all the rest."""

    def __init__(self):
        self.frames_visible = 0
        self._names: dict[str, Any] = {}
        self._highest_score = 0.0
        self._sums = dict.fromkeys(AVERAGED, 0.0)
        self._first = self._last = self._max_area_px = None
        self._spans: list[dict[str, Any]] = []  # stop_seconds is when the last frame begins, until the end
        self._goes_on = False  # the last span ended with the rows so far
        self._times: tuple[float, float] | None = None  # of the first and the last row
        self._rows = 0

    def add_score(self, rows: pa.Table) -> None:
        """Take rows for the highest score."""
        columns = _columns(rows)
        visible = columns["iou_score"][columns["area_px"] > 0]
        self._highest_score = max(self._highest_score, float(visible.max(initial=0)))

    def add(self, rows: pa.Table) -> None:
        """Take rows that follow in time on those before, when the highest score of all is known."""
        columns = _columns(rows)
        frames, times = columns["frame_index"], columns["time_seconds"]
        visible = columns["area_px"] > 0
        if not self._names:
            self._names = rows.select([*KEY, "label"]).slice(0, 1).to_pylist()[0]
        self._times = (self._times[0] if self._times else float(times[0]), float(times[-1]))
        self._rows += len(frames)
        self._add_visible({name: values[visible] for name, values in columns.items()})
        is_sure = np.maximum(columns["iou_score"], 0) >= SURE_SHARE * self._highest_score
        self._add_spans(frames, times, visible & is_sure)

    def _add_visible(self, columns: Mapping[str, np.ndarray]) -> None:
        frames = columns["frame_index"]
        if not len(frames):
            return
        self.frames_visible += len(frames)
        for name in AVERAGED:
            self._sums[name] += float(columns[name].sum(dtype=np.float64))
        self._first = int(frames[0]) if self._first is None else self._first
        self._last = int(frames[-1])
        self._max_area_px = max(self._max_area_px or 0, int(columns["area_px"].max()))

    def _add_spans(self, frames: np.ndarray, times: np.ndarray, sure: np.ndarray) -> None:
        turns = np.flatnonzero(np.diff(np.concatenate([[False], sure, [False]])))
        for start, stop in zip(turns[::2], turns[1::2], strict=True):
            end = {"stop_frame": int(frames[stop - 1]) + 1, "stop_seconds": float(times[stop - 1])}
            if start == 0 and self._goes_on:
                self._spans[-1] |= end
            else:
                begin = {"start_frame": int(frames[start]), "start_seconds": float(times[start])}
                self._spans.append(begin | end)
        self._goes_on = bool(sure[-1])

    def row(self) -> dict[str, Any]:
        """Return the object's row, without what it looks like."""
        count = self.frames_visible
        first_seconds, last_seconds = self._times or (0.0, 0.0)
        frame_seconds = (last_seconds - first_seconds) / max(1, self._rows - 1)
        return {
            **self._names,
            "first_frame": self._first,
            "last_frame": self._last,
            "frames_visible": count,
            "sure_spans": [s | {"stop_seconds": s["stop_seconds"] + frame_seconds} for s in self._spans],
            "max_area_px": self._max_area_px,
            **{f"mean_{name}": self._sums[name] / count if count else None for name in AVERAGED},
        }


def _columns(rows: pa.Table) -> dict[str, np.ndarray]:
    return {name: rows[name].to_numpy() for name in ("frame_index", "time_seconds", *AVERAGED)}
