"""What objects look like: an embedding of each, from the frames that show it best.

A sighting is (3 + channel,) float32: how well a frame shows the object, the frame's index, its IoU score, and
the object's embedding on it. The embedding joins the image features under the mask and the object pointer.
The frames that an object is tracked through are cut into a few equal stretches of time, and the best sighting
of each is kept: what is kept stays small, and is spread over the video however long that is.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from pipeline.engine.candidates import HeadOutput
from pipeline.engine.features import FrameFeatures
from pipeline.engine.frame_step import FrameOutput
from pipeline.engine.state import VideoState
from pipeline.records import SURE_SHARE

EXTRACTOR = "sam2"  # the name of these embeddings, in tables
AT_EDGE = 0.1  # what a sighting counts where the frame's edge cuts the object: there mostly is a better one
QUALITY, FRAME, IOU_SCORE, EMBEDDING = range(4)  # where in a sighting each begins


class Appearance(NamedTuple):
    """How an object looks."""

    embedding: np.ndarray  # (channel,) float32, of length 1
    frames: list[int]  # it is the mean over these


def note_sightings(state: VideoState, features: FrameFeatures, output: FrameOutput, stretches: int) -> None:
    """Let each object keep its sighting on a frame, where that is the best of its stretch.

    Nothing here waits for a device.

    Args:
        stretches: How many sightings an object keeps, at most.
    """
    if not output.heads:
        return
    for object_id, sighting in zip(output.object_ids, sightings(features, output.heads), strict=True):
        bank = state.objects[object_id]
        own = sighting.clone()  # or it would keep those of all objects alive
        bank.sightings = with_sighting(bank.sightings, features.frame_index, own, stretches)


@torch.inference_mode()
def sightings(features: FrameFeatures, heads: Sequence[HeadOutput]) -> torch.Tensor:
    """Return (object, 3 + channel) float32, of the heads of one frame; each as if its object were alone."""
    embedding = features.shared.embedding.float()
    logits, pointers, object_scores, iou_scores = (
        torch.stack([tensor.to(embedding.device) for tensor in same]) for same in zip(*heads, strict=True)
    )
    quality = _quality(logits[:, 0] > 0, object_scores, iou_scores)
    halves = [F.normalize(_pooled(embedding, logits), dim=1), F.normalize(pointers.float(), dim=1)]
    return torch.cat([quality, torch.full_like(quality, features.frame_index), iou_scores, *halves], 1)


def _quality(masks: torch.Tensor, object_scores: torch.Tensor, iou_scores: torch.Tensor) -> torch.Tensor:
    """Return (object, 1), 0 where it is not seen, of (object, height, width) bool and (object, 1) scores."""
    at_edge = masks[:, 0].any(1) | masks[:, -1].any(1) | masks[..., 0].any(1) | masks[..., -1].any(1)
    area = masks.flatten(1).float().mean(1, keepdim=True)
    discount = 1 - (1 - AT_EDGE) * at_edge[:, None].float()
    return iou_scores.clamp(min=0) * area * discount * (object_scores > 0)


def _pooled(embedding: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return (object, channel): sums of (token, channel), weighted by the object's share of each token."""
    tokens_per_side = round(len(embedding) ** 0.5)
    weights = F.avg_pool2d(logits.sigmoid(), logits.shape[-1] // tokens_per_side).flatten(1)
    # One product an object, since the rounding of a larger one depends on how many there are.
    return torch.stack([of_one @ embedding for of_one in weights])


def with_sighting(
    kept: Mapping[int, torch.Tensor], frame_index: int, sighting: torch.Tensor, stretches: int
) -> dict[int, torch.Tensor]:
    """Return the best sighting of each stretch, by its first frame, with one more taken into account.

    Stretches begin at multiples of their length; of two sightings as good as each other, the earlier stays.
    """
    frames = [*kept, frame_index]
    length = stretch_frames(min(frames), max(frames), stretches)
    best: dict[int, torch.Tensor] = {}
    for t, one in [*sorted(kept.items()), (frame_index, sighting)]:
        start = t - t % length
        best[start] = _better(best[start], one) if start in best else one
    return best


def stretch_frames(first_frame: int, last_frame: int, stretches: int) -> int:
    """Return the smallest power of 2 that cuts the frames into at most so many stretches.

    >>> stretch_frames(0, 7, stretches=4), stretch_frames(0, 8, stretches=4)
    (2, 4)
    """
    length = 1
    while last_frame // length - first_frame // length >= stretches:
        length *= 2
    return length


def _better(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    one = one.to(other.device)  # the past may have gone to the host
    return torch.where(other[QUALITY] > one[QUALITY], other, one)


def appearance_of(
    kept: Mapping[int, torch.Tensor], left_out: Collection[int] = frozenset()
) -> Appearance | None:
    """Return how an object looks on the best frames that the model is sure of; None if it was never seen.

    Args:
        left_out: Frames that are not to count.
    """
    seen = [
        one.cpu() for _, one in sorted(kept.items()) if one[QUALITY] > 0 and int(one[FRAME]) not in left_out
    ]
    if not seen:
        return None
    highest = max(one[IOU_SCORE] for one in seen)
    sure = [one for one in seen if one[IOU_SCORE] >= SURE_SHARE * highest]
    mean = torch.stack([one[EMBEDDING:] for one in sure]).double().mean(0)
    return Appearance(F.normalize(mean, dim=0).float().numpy(), [int(one[FRAME]) for one in sure])
