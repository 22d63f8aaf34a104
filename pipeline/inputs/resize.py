"""The model's input: resized exactly as the official JPEG path does."""

from dataclasses import replace

import numpy as np
from PIL import Image

from pipeline.records import Frame


def to_model_input(frame: Frame, side_px: int) -> Frame:
    """Return the frame with its image resized to (side, side, 3) uint8, antialiased bicubic.

    The aspect ratio is not kept: SAM 2 was trained on squares made this way.
    """
    image = Image.fromarray(frame.image).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return replace(frame, image=np.asarray(image))
