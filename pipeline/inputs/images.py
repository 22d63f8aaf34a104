"""From a folder of JPEG or PNG images to frames."""

import re
from collections.abc import Collection, Generator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import DecodeCorrupt, InputMissing, InputTooLarge
from pipeline.inputs.disk_faults import absent, blame_disk
from pipeline.inputs.limits import MAX_PIXELS, refuse_large
from pipeline.records import Frame

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# Images carry no time; 30 a second is what most cameras take, and any constant rate keeps the order.
FRAMES_PER_SECOND = 30


def decode_images(
    folder: Path,
    start_frame: int = 0,
    max_pixels: int = MAX_PIXELS,
    only: Collection[int] | None = None,
) -> Generator[Frame, None, None]:
    """Yield the images of a folder as frames from `start_frame` on, or `only` some of them.

    A frame is shown at `frame_index / 30` seconds.
    The order is natural: `frame2.jpg` comes before `frame10.jpg`. An EXIF orientation is
    applied, as viewers do. Other files in the folder are ignored.

    Raises:
        InputMissing: no such folder, or no image in it.
        DecodeCorrupt: names the image that is broken or of another size than the first.
        InputTooLarge: an image has more than `max_pixels`.
    """
    paths = image_paths(folder)
    first_hw = read_image(paths[0], max_pixels).shape[:2]
    indices = range(start_frame, len(paths))
    for index in indices if only is None else sorted(set(only) & set(indices)):
        image = read_image(paths[index], max_pixels)
        if image.shape[:2] != first_hw:
            raise DecodeCorrupt(
                f"{paths[index]}: frame {index} is {_size(image.shape)}, "
                f"but {paths[0].name} is {_size(first_hw)}; all frames must have one size"
            )
        yield Frame(index, index / FRAMES_PER_SECOND, image, first_hw)


def image_paths(folder: Path) -> list[Path]:
    """Return the JPEG and PNG files of a folder in natural order.

    Raises:
        InputMissing: no such folder, or no image in it.
    """
    try:
        # A pipe with an image's name would be waited for, for ever.
        files = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    except OSError as error:
        raise absent(folder, error) from None
    visible = [path for path in files if not path.name.startswith(".")]
    if not visible:
        raise InputMissing(f"{folder}: no JPEG or PNG image in it")
    return sorted(visible, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts runs of digits by their value.

    >>> sorted(["f10.png", "f9.png", "f010.png"], key=natural_key)
    ['f9.png', 'f010.png', 'f10.png']
    """
    parts = re.findall(r"(\d+)|(\D+)", name)
    return [(int(digits), "") if digits else (-1, text) for digits, text in parts], name


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return an image as (height, width, 3) uint8 RGB, upright.

    Raises:
        DecodeCorrupt: naming the file, which is truncated or no image.
        InputTooLarge: its header declares too many pixels; none was decoded.
    """
    try:
        with Image.open(path) as image:
            refuse_large(path, image.size, max_pixels)
            image.load()
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError as error:  # Pillow has a limit of its own, beyond ours
        raise InputTooLarge(f"{path}: {error}") from None
    except (OSError, ValueError, SyntaxError) as error:
        blame_disk(path, error)
        raise DecodeCorrupt(f"{path}: not a whole image: {error}") from None


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
