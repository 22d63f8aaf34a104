"""Prompts made from true masks, as somebody who looks at a video would give them.

Every function takes a video, what an earlier run found of it, and all videos, and returns manifest rows.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.tracking_truth import AWAY_FRAMES, Masks, TrueVideo
from pipeline.inputs.manifest_write import PromptKind, click_of, prompt_columns
from pipeline.stages.evaluate import jaccard

FULLY_SEEN = 0.7  # of its median area: less is an object that is half hidden, which nobody would choose
CORRECT_BELOW = 0.5  # IoU
CORRECT_EVERY = 30  # frames at least between two corrections of an object
NEW_OBJECT = 100  # is added to the id of an object that has come back
OTHER_CAMERA = {"camera-2": "camera-1"}

Rows = list[dict[str, Any]]
Found = dict[int, Masks]  # by frame index: what a run found
Videos = Mapping[str, TrueVideo]  # by video id
Prompts = Callable[[TrueVideo, Found, Videos], Rows]


def at_first_sight(video: TrueVideo, *_: Any) -> Rows:
    """Give each object's true mask where it is first seen in full."""
    return [_mask_row(video, object_id, _seen_frames(video, object_id)[0]) for object_id in video.object_ids]


def in_the_middle(video: TrueVideo, *_: Any) -> Rows:
    """Give each object's true mask on the frame of its sights that lies in the middle."""
    seen = {object_id: _seen_frames(video, object_id) for object_id in video.object_ids}
    return [_mask_row(video, object_id, frames[len(frames) // 2]) for object_id, frames in seen.items()]


def boxes_every_50(video: TrueVideo, *_: Any) -> Rows:
    return _with_key_frames(video, 50, PromptKind.box)


def boxes_every_25(video: TrueVideo, *_: Any) -> Rows:
    return _with_key_frames(video, 25, PromptKind.box)


def masks_every_50(video: TrueVideo, *_: Any) -> Rows:
    return _with_key_frames(video, 50, PromptKind.mask)


def _with_key_frames(video: TrueVideo, every: int, kind: PromptKind) -> Rows:
    """Give the first true mask, and a true prompt every so many frames if the object is in full sight."""
    rows = at_first_sight(video)
    for first in list(rows):
        object_id, start = first["object_id"], first["frame_index"]
        wanted = range(start + every, max(video.masks) + 1, every)
        for t in sorted(set(wanted) & set(_seen_frames(video, object_id))):
            rows.append(_row(video, object_id, t) | prompt_columns(video.of(object_id, t), kind))
    return rows


def corrections_by_clicks(video: TrueVideo, found: Found, _: Videos) -> Rows:
    """Click on what is missed and on what is wrongly taken, in the middle of each, where a run was wrong."""
    rows = at_first_sight(video)
    return rows + [
        _row(video, object_id, t) | _clicks(video.of(object_id, t), _found(video, found, object_id, t))
        for object_id, t in _wrong(video, found, rows)
    ]


def corrections_by_masks(video: TrueVideo, found: Found, _: Videos) -> Rows:
    """Give the true mask where a run was wrong."""
    rows = at_first_sight(video)
    return rows + [
        _mask_row(video, object_id, t) | {"kind": "correction"} for object_id, t in _wrong(video, found, rows)
    ]


def copied_from_the_other_camera(video: TrueVideo, _: Found, videos: Videos) -> Rows:
    """Give the other camera's first masks as if they were of this one: the right time, the wrong place."""
    other = videos.get(OTHER_CAMERA[video.video_id])
    rows = at_first_sight(other) if other else []
    return [row | {"video_id": video.video_id, "video_uri": str(video.frames)} for row in rows]


def by_the_other_camera(video: TrueVideo, found: Found, videos: Videos) -> Rows:
    """Point at the other camera's first masks, and at nothing in this video."""
    rows = copied_from_the_other_camera(video, found, videos)
    return [row | {"prompt_video_uri": str(videos[OTHER_CAMERA[video.video_id]].frames)} for row in rows]


def new_objects_at_returns(video: TrueVideo, *_: Any) -> Rows:
    """Give a box at each object's first sight, and one of a new object whenever it is back."""
    return [
        _row(video, object_id + number * NEW_OBJECT, t)
        | prompt_columns(video.of(object_id, t), PromptKind.box)
        for object_id in video.object_ids
        for number, t in enumerate(_arrivals(_seen_frames(video, object_id)))
    ]


def _arrivals(seen: list[int]) -> list[int]:
    """Return the first of the frames, and each that comes after a while without."""
    return seen[:1] + [t for before, t in pairwise(seen) if t - before > AWAY_FRAMES]


def _wrong(video: TrueVideo, found: Found, first: Rows) -> Iterator[tuple[int, int]]:
    """Yield (object id, frame index) where IoU is under 0.5, at most one in 30 frames of an object."""
    for row in first:
        object_id, last = row["object_id"], row["frame_index"]
        for t in _seen_frames(video, object_id):
            if t >= last + CORRECT_EVERY and _iou(video, found, object_id, t) < CORRECT_BELOW:
                yield object_id, t
                last = t


def _iou(video: TrueVideo, found: Found, object_id: int, t: int) -> float:
    return jaccard(video.of(object_id, t), _found(video, found, object_id, t))


def _found(video: TrueVideo, found: Found, object_id: int, t: int) -> np.ndarray:
    return found.get(t, {}).get(object_id, np.zeros(video.size_hw, bool))


def _clicks(true: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Return one click a region to be mended; there is at least one."""
    regions = [(true & ~found, 1), (found & ~true, 0)]
    wanted = [(click_of(region), label) for region, label in regions if region.any()]
    points, labels = zip(*wanted, strict=True)
    return {"points_xy": list(points), "point_labels": list(labels), "kind": "correction"}


def _seen_frames(video: TrueVideo, object_id: int) -> list[int]:
    """Return the frames on which the object is in full sight; at least one."""
    areas = {t: np.count_nonzero(masks[object_id]) for t, masks in video.masks.items() if object_id in masks}
    least = FULLY_SEEN * np.median(list(areas.values()))
    return sorted(t for t, area in areas.items() if area >= least)


def _mask_row(video: TrueVideo, object_id: int, t: int) -> dict[str, Any]:
    return _row(video, object_id, t) | prompt_columns(video.of(object_id, t), PromptKind.mask)


def _row(video: TrueVideo, object_id: int, t: int) -> dict[str, Any]:
    return {
        "video_id": video.video_id,
        "video_uri": str(video.frames),
        "object_id": object_id,
        "frame_index": t,
    }
