"""Frames of any input, file or folder, and reading them ahead of the model."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import InputTooLarge
from pipeline.inputs.images import FRAMES_PER_SECOND, decode_images, image_paths
from pipeline.inputs.limits import MAX_PIXELS
from pipeline.inputs.video import decode_times, decode_video
from pipeline.records import Frame


@dataclass
class FramesConfig:
    """How frames come to the model."""

    max_width_px: int | None = None  # wider frames are scaled down; null: as they are
    queue_bytes: int = 256 << 20  # how far decoding may run ahead of the model
    max_pixels: int = MAX_PIXELS  # of one frame, as coded and as displayed
    max_frames: int = 10_000_000  # of one video; a day at 60 frames/s has half of it
    backward_bytes: int = 4 << 30  # of disk, for frames that are wanted last to first

    def __post_init__(self):
        for name in ("max_pixels", "max_frames", "backward_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"frames.{name} must be 1 or more, got {getattr(self, name)}")
        if self.max_width_px is not None and self.max_width_px < 1:
            raise ValueError(f"frames.max_width_px must be 1 or more, got {self.max_width_px}")
        if self.queue_bytes < 1:
            raise ValueError(f"frames.queue_bytes must be 1 or more, got {self.queue_bytes}")


def open_frames(
    path: Path,
    config: FramesConfig,
    start_frame: int = 0,
    on_skipped: Callable[[], None] = lambda: None,
    only: Collection[int] | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames of a video file or a folder of images, no wider than `max_width_px`.

    `Frame.video_size_hw` stays the video's own. Nothing is read ahead: wrap the result,
    with whatever else is to happen in the thread, in `read_ahead`.

    Args:
        start_frame: The first one that is yielded.
        on_skipped: Called for each frame that must be decoded and is not yielded.
        only: The frames to yield; None: all.

    Raises:
        InputMissing: nothing is at `path`.
        DecodeCorrupt: it is there and cannot be decoded; names the frame or file.
        InputTooLarge: it has more pixels or frames than allowed.
    """
    if path.is_dir():
        decoded = decode_images(path, start_frame, config.max_pixels, only)
    else:
        decoded = decode_video(path, start_frame, config.max_pixels, on_skipped, only)
    with closing(decoded) as frames:
        for frame in frames:
            if frame.index >= config.max_frames:
                raise InputTooLarge(
                    f"{path}: more frames than frames.max_frames allows ({config.max_frames})"
                )
            yield _capped(frame, config.max_width_px)


def frame_times(path: Path, config: FramesConfig) -> Generator[float, None, None]:
    """Yield the presentation time of each frame in seconds; errors as of `open_frames`."""
    if path.is_dir():
        return (index / FRAMES_PER_SECOND for index in range(len(image_paths(path))))
    return decode_times(path, config.max_pixels)


def noted(frames: Generator[Frame, None, None], on_frame: Callable[[], None]) -> Generator[Frame, None, None]:
    """Yield frames, and call `on_frame` for each."""
    with closing(frames):
        for frame in frames:
            on_frame()
            yield frame


def read_ahead(frames: Iterator[Frame], max_bytes: int) -> Generator[Frame, None, None]:
    """Yield the same frames, taken from `frames` by a daemon thread up to `max_bytes` ahead.

    One frame is always let in, however large. What `frames` raises is raised here, after the
    frames before it. Closing this generator stops the thread and closes `frames`.
    """
    queue = _ByteBoundedQueue(max_bytes)
    thread = threading.Thread(target=queue.fill, args=(frames,), name="read-ahead", daemon=True)
    thread.start()
    try:
        yield from queue.drain()
    finally:
        queue.close()
        thread.join()


def _capped(frame: Frame, max_width_px: int | None) -> Frame:
    height, width = frame.image.shape[:2]
    if max_width_px is None or width <= max_width_px:
        return frame
    size = (max_width_px, max(1, round(height * max_width_px / width)))
    image = Image.fromarray(frame.image).resize(size, Image.Resampling.BICUBIC)
    return replace(frame, image=np.asarray(image))


class _ByteBoundedQueue:
    """One thread fills it, another drains it; its size is the bytes of the images in it."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.frames: deque[Frame] = deque()
        self.bytes = 0
        self.ended = self.closed = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def fill(self, frames: Iterator[Frame]) -> None:
        """Put all frames, then the end or the error; stop early when closed."""
        try:
            for frame in frames:
                if not self._put(frame):
                    break
        except BaseException as error:  # the consumer's to handle, whatever it is
            self.error = error
        finally:
            # A generator must be closed by the thread that runs it.
            getattr(frames, "close", lambda: None)()
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def drain(self) -> Iterator[Frame]:
        while (frame := self._take()) is not None:
            yield frame
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Wait for room; say whether the frame was taken."""
        size = frame.image.nbytes
        with self.changed:
            self.changed.wait_for(
                lambda: self.closed or not self.frames or self.bytes + size <= self.max_bytes
            )
            if self.closed:
                return False
            self.frames.append(frame)
            self.bytes += size
            self.changed.notify_all()
            return True

    def _take(self) -> Frame | None:
        """Wait for a frame; None at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.frames or self.ended)
            if not self.frames:
                return None
            frame = self.frames.popleft()
            self.bytes -= frame.image.nbytes
            self.changed.notify_all()
            return frame
