"""FRAMES -> FEATURES: what the model sees in a frame, shared by all its objects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from pipeline.engine.network import Shared
from pipeline.engine.streams import SideStream
from pipeline.records import Frame

# ImageNet's, as in sam2/utils/misc.py.
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FrameFeatures:
    """One frame as the model sees it."""

    frame_index: int
    time_seconds: float
    video_size_hw: tuple[int, int]
    shared: Shared
    is_after_cut: bool = False


def encode_frames(
    encode: Callable[[torch.Tensor], Shared],
    frames: Sequence[Frame],
    size: int,
    uploads: SideStream,
    dtype: torch.dtype,
) -> list[FrameFeatures]:
    """Return the features of frames of any videos, computed as one batch.

    Args:
        encode: From (frame, 3, side, side) normalised images of `dtype`.
        frames: With images of (side, side, 3).
        size: Of the batch; the last frame fills it up.
        uploads: What images go to the device by.
        dtype: That the network computes in.
    """
    images = [torch.tensor(frame.image) for frame in frames]
    images += [images[-1]] * (size - len(images))
    shared = encode(normalised(uploads.upload(torch.stack(images))).to(dtype))
    return [
        FrameFeatures(frame.index, frame.time_seconds, frame.video_size_hw, own, frame.is_after_cut)
        for frame, own in zip(frames, shared.unstacked(), strict=False)
    ]


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Return (frame, side, side, 3) uint8 as (frame, 3, side, side) float32, as the official loader does."""
    pixels = images.permute(0, 3, 1, 2)
    mean, std = _statistics(images.device)
    return (pixels.float() / 255.0 - mean) / std


@cache
def _statistics(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation, (3, 1, 1); once a device, since the copy waits for all its work."""
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (RGB_MEAN, RGB_STD))
    return mean, std
