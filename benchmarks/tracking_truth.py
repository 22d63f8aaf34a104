"""Videos whose every true mask is known: made ones written to a folder, and folders read back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.tracking_paint import Painted
from pipeline.inputs.images import image_paths
from pipeline.stages.evaluate import objects_of, truth_masks

JPEG_QUALITY = 95
AWAY_FRAMES = 5  # unseen for so long, an object has been away

Masks = Mapping[int, np.ndarray]  # (height, width) bool by object id; an object that is not there is not seen


@dataclass(frozen=True)
class TrueVideo:
    """A video, as a folder of frames, with the masks of all its objects."""

    video_id: str
    frames: Path
    masks: Mapping[int, Masks]  # by frame index; frames without truth are not there

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """All objects that are seen at some time."""
        return tuple(sorted({object_id for of_frame in self.masks.values() for object_id in of_frame}))

    @cached_property
    def size_hw(self) -> tuple[int, int]:
        with Image.open(image_paths(self.frames)[0]) as image:
            return image.height, image.width

    def of(self, object_id: int, frame_index: int) -> np.ndarray:
        """Return an object's mask, empty where it is not seen, (height, width) bool."""
        found = self.masks[frame_index].get(object_id)
        return np.zeros(self.size_hw, bool) if found is None else found


def write_video(folder: Path, painted: Iterable[Painted]) -> None:
    """Write `frames/00000.jpg` and `masks/00000.png` and so on, as the jobs read them."""
    for name in ("frames", "masks"):
        (folder / name).mkdir(parents=True)
    for index, (image, labels) in enumerate(painted):
        Image.fromarray(image).save(folder / "frames" / f"{index:05d}.jpg", quality=JPEG_QUALITY)
        Image.fromarray(labels).save(folder / "masks" / f"{index:05d}.png")


def read_videos(folder: Path) -> list[TrueVideo]:
    """Return the videos of a folder, each `<video_id>/{frames,masks}/`, with all their masks."""
    return [read_video(masks.parent) for masks in sorted(folder.resolve().glob("*/masks"))]


def read_video(folder: Path) -> TrueVideo:
    return TrueVideo(folder.name, folder / "frames", {t: _masks(path) for t, path in truth_masks(folder)})


def _masks(path: Path) -> Masks:
    with Image.open(path) as image:
        return objects_of(np.array(image))
