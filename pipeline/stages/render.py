"""Overlay videos: a video's frames with its masks drawn over them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq

from pipeline.errors import InputMissing, PipelineError
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.source import SourceConfig, localized
from pipeline.outputs.overlay import Overlay, OverlayConfig
from pipeline.outputs.reader import StoredFrame, read_masks
from pipeline.outputs.video_writer import video_writer
from pipeline.records import Frame
from pipeline.schemas import VIDEOS
from pipeline.storage.names import path_name


@dataclass(frozen=True)
class RenderTask:
    """One video to render."""

    video_id: str
    video_uri: str
    num_frames_hint: int  # that have masks; the video may have more


def tasks_of(run: str, video_ids: Sequence[str] = ()) -> list[RenderTask]:
    """Return the videos of a run that have masks, or those asked for.

    Raises:
        InputMissing: there is no such run, or it has no masks of a video asked for.
    """
    rows = _videos_of(run)
    with_masks = {row["video_id"]: row for row in rows if row["frames"]}
    if unknown := sorted(set(video_ids) - with_masks.keys()):
        raise InputMissing(f"{run}: no masks of {unknown}; there are masks of {sorted(with_masks)}")
    return [
        RenderTask(video_id, row["video_uri"], row["frames"])
        for video_id, row in with_masks.items()
        if not video_ids or video_id in video_ids
    ]


def render(
    run: str,
    task: RenderTask,
    out: Path,
    config: OverlayConfig,
    on_frame: Callable[[], None] = lambda: None,
) -> Path:
    """Write the overlay video of one video to the folder `out`, complete or not at all; return its path.

    Size and frame times are the video's own. Frames without masks are drawn as they are.

    Args:
        on_frame: called after each frame.
    """
    path = out / f"{path_name(task.video_id)}.mp4"
    with localized(task.video_uri, SourceConfig()) as source, video_writer(path) as write:
        frames = open_frames(source, FramesConfig())
        for image, time_seconds in overlaid(frames, read_masks(run, video_id=task.video_id), config):
            write(image, time_seconds)
            on_frame()
    return path


def overlaid(
    frames: Iterable[Frame], masks: Iterable[StoredFrame], config: OverlayConfig
) -> Iterator[tuple[np.ndarray, float]]:
    """Yield (image, time in seconds) of each frame, (height, width, 3) uint8 BGR.

    Args:
        frames: in order, at the video's own size.
        masks: of the same video, in order; frames may be missing.
    """
    masks = iter(masks)
    upcoming = next(masks, None)
    overlay = None
    for frame in frames:
        image = np.ascontiguousarray(frame.image[..., ::-1])  # OpenCV, which draws, wants BGR
        overlay = overlay or Overlay(config, frame.video_size_hw)
        if upcoming is not None and upcoming.frame_index == frame.index:
            image = overlay.draw(image, upcoming.to_detections())
            upcoming = next(masks, None)
        yield image, frame.time_seconds
    if upcoming is not None:
        raise PipelineError(
            f"video {upcoming.video_id!r}: it has masks of frame {upcoming.frame_index}, but ended before; "
            "expected the video that the masks were made from"
        )


def images_of(
    run: str, task: RenderTask, frame_indices: Collection[int], config: OverlayConfig
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (frame index, image) of some frames with their masks, (height, width, 3) uint8 BGR."""
    if not frame_indices:
        return
    with localized(task.video_uri, SourceConfig()) as source:
        for frame in open_frames(source, FramesConfig(), only=frame_indices):
            masks = read_masks(run, video_id=task.video_id, frames=range(frame.index, frame.index + 1))
            ((image, _),) = overlaid([frame], masks, config)
            yield frame.index, image


def _videos_of(run: str) -> list[dict]:
    uri = f"{run}/videos.parquet"
    try:
        with fsspec.open(uri) as file:
            return pq.read_table(file, schema=VIDEOS).to_pylist()
    except FileNotFoundError:
        raise InputMissing(f"{uri}: not found; expected the folder of a run that has ended") from None
