"""Frame extraction: a video to a folder of checked JPEGs, which is as good an input as the video."""

import json
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from pipeline.errors import DecodeCorrupt, StorageError
from pipeline.inputs.frames import FramesConfig, open_frames, read_ahead
from pipeline.inputs.images import read_image
from pipeline.inputs.source import SourceConfig, localized, source_identity
from pipeline.records import Frame
from pipeline.storage.files import complete_or_absent, write_whole

NOTE = ".source.json"
IMAGE_NAME = "image_{:05d}.jpg"  # Supervision's ImageSink, but for the suffix


@dataclass
class ExtractConfig:
    """How frames are written."""

    quality: int = 95  # JPEG's; above 95 files grow and images hardly change
    max_width_px: int | None = None  # wider frames are scaled down; null: as they are
    source: SourceConfig = field(default_factory=SourceConfig)

    def __post_init__(self):
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be 1 to 100, got {self.quality}")


@dataclass(frozen=True)
class Extracted:
    """What one extraction did."""

    frames: int  # in the folder now
    written: int  # of these, by this call


def extract(
    uri: str, folder: Path, config: ExtractConfig, on_frame: Callable[[int], None] = lambda index: None
) -> Extracted:
    """Write the frames of a video as `image_00000.jpg`... and read each one back.

    A call after a broken off one goes on after the last good frame.

    Args:
        on_frame: called with the index of each frame that was written and checked.

    Raises:
        InputMissing, DecodeCorrupt: as of `open_frames`; the frames before the fault are there.
        StorageError: a written frame does not read back, or the folder holds frames of another video,
            or with another width cap or quality.
    """
    _claim(folder, uri, config)
    start = good_frames(folder)
    written = 0
    with localized(uri, config.source) as path, closing(_frames(path, config, start)) as frames:
        for frame in frames:
            _write_checked(frame, folder / IMAGE_NAME.format(frame.index), config.quality)
            written += 1
            on_frame(frame.index)
    return Extracted(start + written, written)


def good_frames(folder: Path) -> int:
    """Return how many frames, from the first on without a gap, are there and whole."""
    index = 0
    while _is_whole(folder / IMAGE_NAME.format(index)):
        index += 1
    return index


def _claim(folder: Path, uri: str, config: ExtractConfig) -> None:
    """Note what the folder is for, so that frames of two videos never mix."""
    wanted = {
        "video": source_identity(uri, config.source),
        "max_width_px": config.max_width_px,
        "quality": config.quality,
    }
    note = folder / NOTE
    if note.exists() and (found := json.loads(note.read_text())) != wanted:
        raise StorageError(
            f"{folder}: holds frames of {found}, expected {wanted}; extract into an empty folder"
        )
    write_whole(note, json.dumps(wanted).encode())


def _frames(path: Path, config: ExtractConfig, start: int) -> Generator[Frame, None, None]:
    frames = FramesConfig(config.max_width_px)
    return read_ahead(open_frames(path, frames, start), frames.queue_bytes)


def _is_whole(path: Path) -> bool:
    try:
        read_image(path)
    except DecodeCorrupt:  # absent ones too
        return False
    return True


def _write_checked(frame: Frame, path: Path, quality: int) -> None:
    """Write one frame; its name appears only once it has been read back."""
    with complete_or_absent(path) as partial:
        # No subsampling: the video has halved the colours once already.
        Image.fromarray(frame.image).save(partial, quality=quality, subsampling=0)
        try:
            found_hw = read_image(partial).shape[:2]
        except DecodeCorrupt as error:
            raise StorageError(f"{path}: written, and does not read back: {error}") from None
        _check_size(path, found_hw, frame)


def _check_size(path: Path, found_hw: tuple[int, ...], frame: Frame) -> None:
    wanted_hw = frame.image.shape[:2]
    if found_hw != wanted_hw:
        raise StorageError(
            f"{path}: is {found_hw[1]}x{found_hw[0]} pixels, expected {wanted_hw[1]}x{wanted_hw[0]}; "
            "extract into an empty folder"
        )
