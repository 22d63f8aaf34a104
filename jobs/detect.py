"""Run a detector over videos: `python -m jobs.detect videos=[a.mp4] out=boxes.parquet`."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.detections import write_detections
from pipeline.inputs.detectors import MotionConfig, detect, load_detector
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.source import SourceConfig, localized


@dataclass
class DetectJob:
    out: str = MISSING
    videos: list[str] = field(default_factory=list)
    detector: str = "motion"
    motion: MotionConfig = field(default_factory=MotionConfig)
    source: SourceConfig = field(default_factory=SourceConfig)


def main(config: DetectJob) -> int:
    by_name = {PurePosixPath(uri).stem: uri for uri in config.videos}
    if len(by_name) < len(config.videos) or not by_name:
        raise UsageError(f"videos={config.videos}: expected one video or more, of different names")
    found = {}
    for video_id, uri in by_name.items():
        with localized(uri, config.source) as path:
            frames = open_frames(path, FramesConfig())
            found[video_id] = list(detect(frames, load_detector(config.detector, config.motion)))
        print(f"{video_id}: {len(found[video_id])} boxes")
    write_detections(found, Path(config.out))
    return DONE


if __name__ == "__main__":
    run_job("detect", DetectJob, main)
