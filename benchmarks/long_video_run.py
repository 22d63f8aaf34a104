"""A made video, looped, with many key frames, and a worker's stage that is watched while it segments it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import torch

from benchmarks.looped import write_looped
from benchmarks.tracking_paint import Painted
from benchmarks.tracking_scenes import drift
from pipeline.engine.config import EngineConfig, Precision, TrackingConfig
from pipeline.errors import Stopped
from pipeline.inputs.images import FRAMES_PER_SECOND
from pipeline.inputs.manifest_write import PromptKind, prompt_columns
from pipeline.outputs.reader import read_masks
from pipeline.outputs.rle import decode_mask
from pipeline.outputs.video_writer import video_writer
from pipeline.records import Attempt, Prompt, Shard
from pipeline.stages.evaluate import jaccard
from pipeline.stages.model import ModelConfig
from pipeline.stages.segment import SegmentStage
from pipeline.stages.segment_config import SegmentConfig

MIB = 2**20
VIDEO_ID = "long"


@dataclass(frozen=True)
class LongRunConfig:
    """How long the video is, and how it is followed."""

    frames: int
    key_frames_every: int
    closest: int | None  # tracking.max_conditioning_frames
    image_size_px: int
    sample_every: int
    limit_seconds: float  # then it is stopped


@dataclass
class Samples:
    """What was seen of the process; one value a sample."""

    frames: list[int] = field(default_factory=list)  # done
    rss_mib: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)  # per frame, since the sample before
    cpu_ms: list[float] = field(default_factory=list)  # likewise, of all threads
    prepared_seconds: float = 0.0  # before the first frame was tracked
    is_finished: bool = False
    j: list[float] = field(default_factory=list)  # of the frames up to each sample; empty unless finished


class Watch:
    """Takes samples as frames are done, and stops the run when its time is over."""

    def __init__(self, config: LongRunConfig):
        self.samples = Samples()
        self._config = config
        self._started = time.monotonic()
        self._last: tuple[int, float, float] | None = None  # frames done, wall and CPU seconds

    def __call__(self, done: int | None) -> None:
        """Take note of so many frames done; None is a sign of life."""
        if time.monotonic() - self._started > self._config.limit_seconds:
            raise Stopped
        if done is not None and done % self._config.sample_every == 0:
            self._take(done)

    def _take(self, done: int) -> None:
        now = done, time.monotonic(), time.process_time()
        if self._last is None:
            self.samples.prepared_seconds = now[1] - self._started
        elif done > self._last[0]:
            frames, wall, cpu = np.subtract(now, self._last)
            self.samples.frames.append(done)
            self.samples.rss_mib.append(psutil.Process().memory_info().rss / MIB)
            self.samples.wall_ms.append(1000 * wall / frames)
            self.samples.cpu_ms.append(1000 * cpu / frames)
        self._last = now


def run_long(config: LongRunConfig, folder: Path, seed: int) -> Samples:
    """Segment a looped video by the worker's own stage, until it ends or its time is over."""
    torch.set_num_threads(1)
    painted = list(drift(seed))
    video = write_looped(_encoded(painted, folder / "once.mp4"), config.frames, folder / "looped.mp4")
    prompts = _key_frames([frame.labels for frame in painted], config)
    shard = Shard(VIDEO_ID, VIDEO_ID, str(video), prompts, fingerprint={"benchmark": "long_video"})
    stage = SegmentStage(_segment_config(config), str(folder / "run"))
    watch = Watch(config)
    try:
        stage(shard, Attempt("000001.001"), watch)
    except Stopped:
        return watch.samples
    finally:
        stage.close()
    watch.samples.is_finished = True
    watch.samples.j = _j(folder / "run", [frame.labels == 1 for frame in painted], watch.samples.frames)
    return watch.samples


def _segment_config(config: LongRunConfig) -> SegmentConfig:
    return SegmentConfig(
        model=ModelConfig(image_size_px=config.image_size_px),
        engine=EngineConfig(precision=Precision.fp32),
        tracking=TrackingConfig(max_conditioning_frames=config.closest),
    )


def _encoded(painted: Sequence[Painted], path: Path) -> Path:
    with video_writer(path) as write:
        for index, frame in enumerate(painted):
            write(frame.image[..., ::-1], index / FRAMES_PER_SECOND)
    return path


def _key_frames(labels: Sequence[np.ndarray], config: LongRunConfig) -> tuple[Prompt, ...]:
    """Return a true box on every so many frames."""
    boxes = [prompt_columns(image == 1, PromptKind.box)["box_xyxy"] for image in labels]
    frames = range(0, config.frames, config.key_frames_every)
    return tuple(Prompt(1, frame_index=t, box_xyxy=tuple(boxes[t % len(boxes)])) for t in frames)


def _j(run: Path, true: Sequence[np.ndarray], ends: Sequence[int]) -> list[float]:
    """Return the mean IoU of the frames up to each of `ends`, from the one before."""
    ious = [
        jaccard(decode_mask(frame.rles[0]), true[frame.frame_index % len(true)])
        for frame in read_masks(run, video_id=VIDEO_ID)
    ]
    return [float(np.mean(part)) for part in np.split(ious, ends)[: len(ends)]]
