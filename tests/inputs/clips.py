"""Small real videos made on the spot, and damage done to files."""

from pathlib import Path

import av
import numpy as np
from PIL import Image


def picture(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a frame whose content tells its index: noise that moves with it."""
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_clip(path: Path, frames: int = 20, codec: str = "libx264", size_hw=(48, 64)) -> Path:
    """Write a video of noise, so that every byte of it matters."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size_hw), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def image_folder(path: str, frames: int, size_hw=(48, 64)) -> Path:
    """Write the same noise as a folder of PNG images."""
    folder = Path(path)
    folder.mkdir(parents=True)
    for index in range(frames):
        Image.fromarray(picture(index, *size_hw)).save(folder / f"{index + 1:06d}.png")
    return folder


def cut_short(path: Path, part: float) -> Path:
    """Keep the first part of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def zeroed(path: Path, at: float, length: int = 2000) -> Path:
    """Overwrite bytes of a file with zeros."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    return path
