"""Frames at their own times -> an H.264 file that browsers play."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.storage.files import complete_or_absent

CLOCK = Fraction(1, 90_000)  # holds the times of all common frame rates, also 30000/1001, exactly
BT709 = 1  # among FFmpeg's matrices, primaries and transfer curves alike
ENCODER = {"preset": "veryfast", "crf": "20", "bf": "0"}

WriteFrame = Callable[[np.ndarray, float], None]


@contextmanager
def video_writer(path: Path) -> Iterator[WriteFrame]:
    """Give a function that appends a frame, (height, width, 3) uint8 BGR, on show from a time in seconds.

    The file is an MP4, complete or absent. The rate may vary, times must not go back. Odd sizes
    grow by one pixel to the right and below, since H.264 halves the colours' resolution.
    """
    with (
        complete_or_absent(path) as partial,
        av.open(partial, "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=30, options=ENCODER)  # the rate only guides the encoder
        _configure(stream)
        last_pts = -1

        def write(image: np.ndarray, time_seconds: float) -> None:
            nonlocal last_pts
            frame = _encodable(image)
            frame.pts = last_pts = max(round(time_seconds / CLOCK), last_pts + 1)
            if not stream.codec_context.is_open:
                stream.width, stream.height = frame.width, frame.height
            container.mux(stream.encode(frame))

        yield write
        container.mux(stream.encode(None))


def _configure(stream: VideoStream) -> None:
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = CLOCK
    # Untagged colours are guessed by size, differently from player to player.
    codec = stream.codec_context
    codec.colorspace = codec.color_primaries = codec.color_trc = BT709
    codec.color_range = ColorRange.MPEG


def _encodable(image: np.ndarray) -> VideoFrame:
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = VideoFrame.from_ndarray(even, format="bgr24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    frame.time_base = CLOCK
    return frame
