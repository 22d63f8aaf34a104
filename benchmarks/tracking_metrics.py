"""How well objects were followed: masks (J), identities (IDF1, HOTA, switches), returns.

Identities are measured by the `trackers` package's port of TrackEval, with the IoU of masks as similarity.
Frames on which anything was prompted count nowhere: what was given there is not found. A frame that a run
has no row for shows nothing.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

from benchmarks.tracking_truth import AWAY_FRAMES, Masks, TrueVideo
from pipeline.stages.evaluate import jaccard

FOUND_IOU = 0.5  # from here on a mask is the object's
BACK_WITHIN_FRAMES = 20  # it is to be found again


@dataclass(frozen=True)
class Scores:
    """What one run made of one video."""

    j: float  # mean IoU over objects and frames; 1 where both masks are empty
    j_seen: float  # the same over the frames on which the object is to be seen
    idf1: float
    hota: float
    switches: int  # of the found object that a true one is matched with
    returns: int  # how often objects came back
    recovered: int  # of these, soon found again under their own id
    unseen: int  # object-frames on which the object is away or hidden
    invented: int  # of these, with a mask


def score(video: TrueVideo, found: Mapping[int, Masks], prompted: Set[int]) -> Scores:
    """Compare what was found, by frame index and object id, with the truth.

    Args:
        prompted: frames that carry a prompt of any object.
    """
    frames = sorted(video.masks.keys() - prompted)
    ious = {i: np.array([_iou(video, found, i, t) for t in frames]) for i in video.object_ids}
    seen = {i: np.array([i in video.masks[t] for t in frames], bool) for i in video.object_ids}
    identities = _identities(video, found, frames)
    returns = [back for i in video.object_ids for back in _returns(video, i)]
    return Scores(
        j=_mean([values.mean() for values in ious.values()]),
        j_seen=_mean([values[seen[i]].mean() for i, values in ious.items() if seen[i].any()]),
        idf1=float(compute_identity_metrics(*identities)["IDF1"]),
        hota=float(compute_hota_metrics(*identities)["HOTA"]),
        switches=int(compute_clear_metrics(*identities)["IDSW"]),
        returns=len(returns),
        recovered=sum(_recovered(video, found, prompted, i, t) for i, t in returns),
        unseen=int(sum(np.count_nonzero(~of_object) for of_object in seen.values())),
        invented=int(sum(np.count_nonzero(ious[i][~seen[i]] < 1) for i in video.object_ids)),
    )


def _iou(video: TrueVideo, found: Mapping[int, Masks], object_id: int, t: int) -> float:
    mask = found.get(t, {}).get(object_id)
    return jaccard(video.of(object_id, t), np.zeros(video.size_hw, bool) if mask is None else mask)


def _identities(
    video: TrueVideo, found: Mapping[int, Masks], frames: list[int]
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return true ids, found ids and their (true, found) IoU, one array a frame; empty masks are left out."""
    true_ids, found_ids, similarities = [], [], []
    for t in frames:
        true = video.masks[t]
        seen = {i: mask for i, mask in found.get(t, {}).items() if mask.any()}
        true_ids.append(np.array(list(true), int))
        found_ids.append(np.array(list(seen), int))
        pairs = [[jaccard(a, b) for b in seen.values()] for a in true.values()]
        similarities.append(np.array(pairs, float).reshape(len(true), len(seen)))
    return true_ids, found_ids, similarities


def _returns(video: TrueVideo, object_id: int) -> Iterator[tuple[int, int]]:
    """Yield (object id, first frame in sight again) wherever the object was away for a while."""
    runs = [list(run) for _, run in groupby(sorted(video.masks), lambda t: object_id in video.masks[t])]
    for _, gap, back in zip(runs, runs[1:], runs[2:], strict=False):
        if object_id in video.masks[back[0]] and len(gap) >= AWAY_FRAMES:
            yield object_id, back[0]


def _recovered(
    video: TrueVideo, found: Mapping[int, Masks], prompted: Set[int], object_id: int, back: int
) -> bool:
    within = [t for t in range(back, back + BACK_WITHIN_FRAMES) if t in video.masks and t not in prompted]
    return any(_iou(video, found, object_id, t) >= FOUND_IOU for t in within)


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
