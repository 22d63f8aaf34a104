"""Measures a run's masks against true ones: J, the mean IoU."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from PIL import Image

from pipeline.errors import InputMissing, PipelineError
from pipeline.inputs.images import image_paths
from pipeline.outputs.reader import StoredFrame, read_masks
from pipeline.outputs.rle import decode_mask
from pipeline.records import Rle

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectScore:
    """How well one object was tracked."""

    video_id: str
    object_id: int
    frames: int  # that were compared
    mean_iou: float


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over the union of two bool masks of one shape; 1 where both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def summarize(scores: Sequence[ObjectScore]) -> dict[str, Any]:
    """Return the mean IoU of each video (over its objects) and of all objects, as in DAVIS.

    Args:
        scores: at least one.
    """
    videos: dict[str, list[ObjectScore]] = {}
    for score in scores:
        videos.setdefault(score.video_id, []).append(score)
    return {
        "mean_iou": _mean(scores),
        "objects": len(scores),
        "videos": {
            video_id: {
                "mean_iou": _mean(objects),
                "objects": {str(s.object_id): {"mean_iou": s.mean_iou, "frames": s.frames} for s in objects},
            }
            for video_id, objects in videos.items()
        },
    }


def evaluate(run: str, truth: Path) -> list[ObjectScore]:
    """Return the score of each object of the run that the truth knows, by video and object.

    An object counts from the frame after its first prompt on; frames with a prompt of it do not.

    Args:
        truth: holds `<video_id>/masks/*.png`, see `truth_masks` and `objects_of`.

    Raises:
        InputMissing: the truth knows no object of the run.
        PipelineError: a true mask is not of the video's size.
    """
    folders = sorted(path.parent for path in truth.glob("*/masks"))
    scores = [score for folder in folders for score in _score_video(run, folder)]
    if not scores:
        raise InputMissing(f"{truth}: expected <video_id>/masks/*.png of objects of {run}, found none")
    return scores


def truth_masks(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield (frame index, path) of a video's true masks, in frame order.

    `masks/x.png` belongs to the frame that is called x too in `frames/`, whatever its ending.
    Without `frames/`, the masks are those of frames 0, 1, 2...
    """
    paths = image_paths(folder / "masks")
    frames = folder / "frames"
    # In the order in which the decoder counts them.
    index_of = {p.stem: i for i, p in enumerate(image_paths(frames) if frames.is_dir() else paths)}
    return ((index_of[path.stem], path) for path in paths if path.stem in index_of)


def objects_of(label_image: np.ndarray) -> dict[int, np.ndarray]:
    """Return the mask of each object, (height, width) bool by object id.

    0 is background. An image of 0 and 255 alone shows object 1; else each value is an object id.

    >>> objects_of(np.array([[0, 255]]))
    {1: array([[False,  True]])}
    """
    ids = [int(value) for value in np.unique(label_image) if value]
    if ids == [255]:
        return {1: label_image == 255}
    return {object_id: label_image == object_id for object_id in ids}


def _score_video(run: str, folder: Path) -> list[ObjectScore]:
    video_id = unquote(folder.name)  # ids are percent-encoded in paths
    try:
        frames = list(read_masks(run, video_id=video_id))
    except InputMissing:
        log.info("%s: has true masks but none in the run, left out", video_id)
        return []
    ious = _ious(_prompted_frames(frames), _rles(frames), folder)
    return [ObjectScore(video_id, i, len(ious[i]), float(np.mean(ious[i]))) for i in sorted(ious)]


def _prompted_frames(frames: Sequence[StoredFrame]) -> dict[int, set[int]]:
    """Return the indices of the frames with a prompt, by object id."""
    prompted = defaultdict(set)
    for frame in frames:
        for object_id in np.array(frame.object_ids)[frame.prompted]:
            prompted[int(object_id)].add(frame.frame_index)
    return prompted


def _rles(frames: Sequence[StoredFrame]) -> dict[tuple[int, int], Rle]:
    """Return the stored masks by frame index and object id."""
    return {
        (frame.frame_index, object_id): rle
        for frame in frames
        for object_id, rle in zip(frame.object_ids, frame.rles, strict=True)
    }


def _ious(
    prompted: Mapping[int, set[int]], rles: Mapping[tuple[int, int], Rle], folder: Path
) -> dict[int, list[float]]:
    """Return the IoU on each frame that counts, by object, for the objects that the truth knows."""
    ious = defaultdict(list)
    known = set()
    for frame_index, path in truth_masks(folder):
        label_image = _read_label_image(path)
        true_masks = objects_of(label_image)
        known |= true_masks.keys()
        nothing = np.zeros(label_image.shape, bool)
        for object_id, with_prompt in prompted.items():
            if frame_index <= min(with_prompt) or frame_index in with_prompt:
                continue
            rle = rles.get((frame_index, object_id))
            found = nothing if rle is None else decode_mask(rle)
            _check_size(path, label_image, found)
            ious[object_id].append(jaccard(found, true_masks.get(object_id, nothing)))
    return {object_id: values for object_id, values in ious.items() if object_id in known}


def _read_label_image(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image if image.mode in ("P", "L") else image.convert("L"))


def _check_size(path: Path, true: np.ndarray, found: np.ndarray) -> None:
    if true.shape != found.shape:
        raise PipelineError(
            f"{path}: is {true.shape[1]}x{true.shape[0]} pixels, expected the masks' size, "
            f"{found.shape[1]}x{found.shape[0]}"
        )


def _mean(scores: Sequence[ObjectScore]) -> float:
    return float(np.mean([score.mean_iou for score in scores]))
