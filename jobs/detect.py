"""Run a detector over videos: `python -m jobs.detect videos=[clips/*.mp4] out=boxes.parquet`."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.detectors import DetectorConfig
from pipeline.inputs.source import SourceConfig
from pipeline.stages.detect import Detected, detect, videos_of


@dataclass
class DetectJob(DetectorConfig):
    """Which videos are looked at, and where detections go."""

    out: str = MISSING
    videos: list[str] = field(default_factory=list)
    source: SourceConfig = field(default_factory=SourceConfig)


def main(config: DetectJob) -> int:
    if not config.videos:
        raise UsageError("videos is empty: give paths, URIs or patterns, such as videos=[clips/*.mp4]")
    videos = videos_of(config.videos)
    detect(videos, Path(config.out), config, config.source, _tell)
    print(f"{config.out}: detections of {len(videos)} videos")
    return DONE


def _tell(detected: Detected) -> None:
    print(f"{detected.video_id}: {detected.detections} detections on {detected.frames} frames", flush=True)


if __name__ == "__main__":
    run_job("detect", DetectJob, main)
