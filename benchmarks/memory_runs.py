"""Two ways of segmenting a video, each watching the memory of its own process."""

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from benchmarks.official import official_nano, track
from pipeline.engine.config import EngineConfig, Precision
from pipeline.records import Attempt, Prompt, Shard
from pipeline.stages.segment import SegmentStage
from pipeline.stages.segment_config import SegmentConfig

MIB = 2**20
MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass
class MemoryCurve:
    """Resident memory of one process while it works."""

    every: int
    frames: list[int] = field(default_factory=list)  # that were done when the memory was taken
    rss_mib: list[float] = field(default_factory=list)
    model_mib: float = 0.0  # with the model loaded and nothing of the video
    peak_mib: float = 0.0  # of the whole process, as the kernel saw it: also between two samples

    def take(self, done: int | None) -> None:
        """Take the memory after so many frames, if it is time for that."""
        if done and done % self.every == 0:
            self.frames.append(done)
            self.rss_mib.append(_rss_mib())


def segment_with_stage(video: Path, prompts: Sequence[Prompt], run: Path, every: int) -> MemoryCurve:
    """Segment a video by the worker's own stage, up to the published table."""
    torch.set_num_threads(1)
    config = SegmentConfig(engine=EngineConfig(precision=Precision.fp32))
    stage = SegmentStage(config, str(run))
    curve = MemoryCurve(every, model_mib=_rss_mib())
    shard = Shard("looped", "looped", str(video), tuple(prompts), fingerprint={"benchmark": "memory"})
    stage(shard, Attempt("000001.001"), curve.take)
    curve.peak_mib = _peak_mib()  # the merge of all spans at the end is in it
    return curve


def segment_with_official(frames: Path, prompts: Sequence[Prompt], every: int) -> MemoryCurve:
    """Segment a folder of JPEGs by the official predictor, its masks dropped as they come."""
    torch.set_num_threads(1)
    predictor = official_nano()
    curve = MemoryCurve(every, model_mib=_rss_mib())
    for found in track(predictor, frames, prompts):
        curve.take(found.frame_index + 1)
    curve.peak_mib = _peak_mib()
    return curve


def _rss_mib() -> float:
    return psutil.Process().memory_info().rss / MIB


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT_BYTES / MIB
