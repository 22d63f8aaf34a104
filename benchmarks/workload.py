"""What every system of the comparison segments: a bundled clip's first frames, and boxes on frame 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.looped import write_looped
from pipeline.inputs.resize import to_model_input
from pipeline.inputs.video import decode_video
from pipeline.records import Frame, Prompt

Box = tuple[float, float, float, float]

CLIP = Path(__file__).parent.parent / "pipeline" / "bundled" / "clips" / "bottles.mp4"
BOXES_XYXY = ((287, 109, 345, 313), (510, 107, 572, 315))  # the two bottles on its first frame
JITTER = 0.1  # of a box's width and height: the furthest that a copy is moved


@dataclass(frozen=True)
class Clip:
    """A video as the model sees it, in memory, with one prompt an object."""

    frames: Sequence[Frame]  # at the model's input size
    prompts: Sequence[Prompt]  # boxes on frame 0, object ids from 1

    @property
    def video_size_hw(self) -> tuple[int, int]:
        return self.frames[0].video_size_hw


def clips(videos: int, objects: int, frames: int, image_size_px: int) -> list[Clip]:
    """Return so many videos of the same frames; each has its own boxes."""
    with TemporaryDirectory() as folder:
        video = write_video(Path(folder), frames)
        decoded = [to_model_input(frame, image_size_px) for frame in decode_video(video)]
    return [Clip(decoded, box_prompts(decoded[0].video_size_hw, objects, video)) for video in range(videos)]


def write_video(folder: Path, frames: int) -> Path:
    """Write the clip, looped or cut to so many frames; return the file."""
    return write_looped(CLIP, frames, folder / "looped.mp4")


def box_prompts(size_hw: tuple[int, int], objects: int, video: int) -> list[Prompt]:
    """Return one box an object: jittered copies of the clip's own, which come first in video 0."""
    random = np.random.default_rng(video)
    boxes = [_jittered(BOXES_XYXY[i % len(BOXES_XYXY)], size_hw, random) for i in range(objects)]
    if video == 0:
        boxes[: len(BOXES_XYXY)] = BOXES_XYXY[:objects]
    return [Prompt(i, frame_index=0, box_xyxy=box) for i, box in enumerate(boxes, start=1)]


def _jittered(box: Box, size_hw: tuple[int, int], random: np.random.Generator) -> Box:
    x0, y0, x1, y1 = box
    right, down = random.uniform(-JITTER, JITTER, 2) * (x1 - x0, y1 - y0)
    height, width = size_hw
    moved = np.clip((x0 + right, y0 + down, x1 + right, y1 + down), 0, (width, height, width, height))
    return (float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3]))
