"""How large a frame may be: a few bytes can declare billions of pixels."""

from pathlib import Path

from pipeline.errors import InputTooLarge

MAX_PIXELS = 1 << 27  # of one frame; 8K has a quarter of it


def refuse_large(path: Path, size_wh: tuple[int, int], max_pixels: int) -> None:
    """Raise InputTooLarge for a frame of more than `max_pixels`."""
    width, height = size_wh
    if width * height > max_pixels:
        raise InputTooLarge(
            f"{path}: frames of {width}x{height} pixels, frames.max_pixels allows {max_pixels} in all"
        )
