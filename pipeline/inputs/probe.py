"""What can be known of a video without decoding it all."""

from dataclasses import dataclass
from pathlib import Path

import av

from pipeline.errors import DecodeCorrupt
from pipeline.inputs.container import missing_bytes
from pipeline.inputs.images import FRAMES_PER_SECOND, image_paths, read_image
from pipeline.inputs.limits import MAX_PIXELS
from pipeline.inputs.video import FALLBACK_FRAME_SECONDS, decode_video, opened, reason, video_stream


@dataclass(frozen=True)
class VideoFacts:
    """A video's size, and about how long it is."""

    size_hw: tuple[int, int]  # pixels, as displayed
    num_frames_hint: int  # packets of the container: rarely fewer frames decode, hardly ever more
    duration_seconds: float  # from the first frame's start to the last one's end


def probe(path: Path, max_pixels: int = MAX_PIXELS) -> VideoFacts:
    """Return the facts of a video file or a folder of images.

    All packets are read and the first frame is decoded.

    Raises:
        InputMissing: nothing is at `path`.
        DecodeCorrupt: the first frame cannot be decoded, or the file is damaged in a way that
            shows without decoding.
        InputTooLarge: a frame has more than `max_pixels`.
    """
    if path.is_dir():
        paths = image_paths(path)
        return VideoFacts(
            read_image(paths[0], max_pixels).shape[:2], len(paths), len(paths) / FRAMES_PER_SECOND
        )
    first = next(decode_video(path, max_pixels=max_pixels))
    count, duration_seconds = _packets(path)
    return VideoFacts(first.video_size_hw, count, duration_seconds)


def _packets(path: Path) -> tuple[int, float]:
    """Return the number of displayed packets, and from the first one's start to the last's end."""
    starts, longest = [], 0.0
    with opened(path) as container:
        try:
            for packet in container.demux(video_stream(path, container)):
                if packet.is_corrupt:
                    raise DecodeCorrupt(f"{path}: packet {len(starts)} is damaged in the container")
                if packet.size and not packet.is_discard:
                    seconds = float(packet.time_base or 0)
                    starts.append((packet.pts or 0) * seconds)
                    longest = max(longest, (packet.duration or 0) * seconds)
        except av.FFmpegError as error:
            raise DecodeCorrupt(f"{path}: packet {len(starts)} cannot be read: {reason(error)}") from None
    if missing := missing_bytes(path):
        raise DecodeCorrupt(f"{path}: the file ends {missing} bytes too early, after {len(starts)} packets")
    return len(starts), max(starts) - min(starts) + (longest or FALLBACK_FRAME_SECONDS)
