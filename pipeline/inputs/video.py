"""From a video file to frames, as a player shows them: in order, upright, with square pixels."""

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.errors import DecodeCorrupt, InputMissing
from pipeline.inputs.container import missing_bytes
from pipeline.inputs.disk_faults import blame_disk
from pipeline.inputs.limits import MAX_PIXELS, refuse_large
from pipeline.records import Frame

FFMPEG_MARGIN_PIXELS = 1 << 20
# Of containers that do not say: the duration of a frame whose presentation time is missing or not later.
FALLBACK_FRAME_SECONDS = 1 / 30


def decode_video(
    path: Path,
    start_frame: int = 0,
    max_pixels: int = MAX_PIXELS,
    on_skipped: Callable[[], None] = lambda: None,
    only: Collection[int] | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames of a video from `start_frame` on, or `only` some of them, in display order.

    Decoding always begins at the first frame, so that a frame is the same whatever
    `start_frame` is; those before it are not converted. Times are seconds since the first
    frame and strictly increase. All frames have the first one's size. `on_skipped` is called for each frame
    that is decoded and not yielded. After the last one of `only` nothing is decoded.

    Raises:
        InputMissing: there is no such file.
        InputUnavailable: the disk does not give it.
        DecodeCorrupt: no video, or damaged; names the first frame that cannot be trusted.
            All frames yielded before are intact.
        InputTooLarge: a frame has more than `max_pixels`, coded or displayed; it was not decoded.
    """
    with (
        opened(path) as container,
        closing(_frames(path, container, max_pixels)) as frames,
    ):
        last = inf if only is None else max(only, default=-1)
        for index, to_frame in frames:
            if index >= start_frame and (only is None or index in only):
                yield to_frame()
            else:
                on_skipped()
            if index >= last:  # nothing after it is decoded, or could be found damaged
                break


def decode_times(path: Path, max_pixels: int = MAX_PIXELS) -> Generator[float, None, None]:
    """Yield the presentation time of each frame in seconds; errors as of `decode_video`."""
    with opened(path) as container:
        clock = _Clock()
        for frame, _ in _decoded(path, container, max_pixels):
            yield clock.seconds(frame.time)


def count_frames(path: Path) -> int:
    """Return the number of frames by decoding all of them; errors as of `decode_video`."""
    with opened(path) as container:
        return sum(1 for _ in _decoded(path, container))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give a PyAV container that reads this one local file and nothing that the file refers to."""
    try:
        # `file:` lets names start with a dash or hold a colon. Metadata in odd encodings is no fault.
        container = av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputMissing(f"{path}: {error.strerror}") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        blame_disk(path, error)
        raise DecodeCorrupt(f"{path}: cannot be opened as a video: {reason(error)}") from None
    with container:
        yield container


def video_stream(path: Path, container: Any) -> Any:
    """Return the stream a player would show, set up to report damage instead of hiding it."""
    stream = container.streams.best("video")
    if stream is None:
        raise DecodeCorrupt(f"{path}: no video stream, found {_kinds(container)}")
    if stream.codec_context is None:
        raise DecodeCorrupt(f"{path}: no decoder here for its video stream")
    # See docs/decisions/damaged-video.md: frame threads lose errors, and without `explode`
    # decoders paint over what they cannot read.
    stream.thread_type = "SLICE"
    stream.codec_context.options = {"err_detect": "explode"}
    return stream


def reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def displayed_size_hw(coded_hw: tuple[int, int], sample_aspect_ratio: Any) -> tuple[int, int]:
    """Return the size with square pixels, before rotation: one side grows, none shrinks.

    >>> displayed_size_hw((360, 640), 2), displayed_size_hw((360, 640), 0.5)
    ((360, 1280), (720, 640))
    """
    height, width = coded_hw
    aspect = float(sample_aspect_ratio or 1)
    if aspect >= 1:
        return height, round(width * aspect)
    return round(height / aspect), width


def upright(image: np.ndarray, display_matrix: np.ndarray | None) -> np.ndarray:
    """Turn and mirror an image as the container's 3x3 display matrix says.

    The matrix maps a pixel (p, q) to (a p + c q, b p + d q), for rows (a, b, _) and (c, d, _).
    """
    if display_matrix is None:
        return image
    (a, b), (c, d) = display_matrix[0, :2], display_matrix[1, :2]
    transposed = abs(b) > abs(a)
    across, down = (c, b) if transposed else (a, d)
    if transposed:
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _frames(
    path: Path, container: Any, max_pixels: int
) -> Generator[tuple[int, Callable[[], Frame]], None, None]:
    """Yield each decoded frame's index, and what converts it."""
    size_hw, clock = None, _Clock()
    for index, (frame, stream) in enumerate(_decoded(path, container, max_pixels)):
        time_seconds = clock.seconds(frame.time)
        if size_hw is None:
            size_hw = displayed_size_hw((frame.height, frame.width), stream.sample_aspect_ratio)
            refuse_large(path, (size_hw[1], size_hw[0]), max_pixels)  # odd pixel aspects stretch small frames
        yield index, partial(_converted, frame, index, time_seconds, size_hw)


def _converted(frame: Any, index: int, time_seconds: float, size_hw: tuple[int, int]) -> Frame:
    image = _rgb(frame, size_hw)
    return Frame(index, time_seconds, image, image.shape[:2])


def _decoded(path: Path, container: Any, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[Any, Any]]:
    """Yield intact decoded frames, each with its stream, then make sure that it was all."""
    stream, count = video_stream(path, container), 0
    refuse_large(path, (stream.width, stream.height), max_pixels)
    # The stream itself may say more than its container; FFmpeg counts a margin around each frame.
    stream.codec_context.options |= {"max_pixels": str(2 * max_pixels + FFMPEG_MARGIN_PIXELS)}
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise DecodeCorrupt(f"{path}: frame {count} is damaged in the container")
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise DecodeCorrupt(f"{path}: frame {count} is damaged")
                yield frame, stream
                count += 1
    except (av.FFmpegError, ValueError) as error:
        blame_disk(path, error)
        raise DecodeCorrupt(f"{path}: frame {count} cannot be decoded: {reason(error)}") from None
    if count == 0:
        raise DecodeCorrupt(f"{path}: the video stream has no frames")
    if missing := missing_bytes(path):
        raise DecodeCorrupt(f"{path}: the file ends {missing} bytes too early, after {count} frames")


def _rgb(frame: Any, size_hw: tuple[int, int]) -> np.ndarray:
    height, width = size_hw
    rgb = frame.reformat(width=width, height=height, format="rgb24", interpolation="BICUBIC")
    return upright(rgb.to_ndarray(), _display_matrix(frame))


def _display_matrix(frame: Any) -> np.ndarray | None:
    side_data = frame.side_data.get("DISPLAYMATRIX")
    return None if side_data is None else np.frombuffer(side_data, np.int32).reshape(3, 3)


def _kinds(container: Any) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "no stream at all"


class _Clock:
    """Presentation times since the first frame, made strictly increasing."""

    def __init__(self):
        self.first: float | None = None
        self.last = 0.0

    def seconds(self, presented: float | None) -> float:
        if self.first is None:
            self.first = presented or 0.0
            return self.last
        since_first = self.last if presented is None else presented - self.first
        self.last = since_first if since_first > self.last else self.last + FALLBACK_FRAME_SECONDS
        return self.last
