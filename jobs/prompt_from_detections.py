"""Make a manifest of a detector's boxes: `python -m jobs.prompt_from_detections detections=FILE ...`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.detections import DetectionFormat
from pipeline.inputs.manifest_write import write_manifest
from pipeline.stages.prompt_from_detections import FromDetectionsConfig, manifest_rows


@dataclass
class FromDetectionsJob(FromDetectionsConfig):
    detections: str = MISSING
    videos: str = MISSING
    out: str = MISSING
    format: DetectionFormat = DetectionFormat.parquet
    run: str | None = None


def main(config: FromDetectionsJob) -> int:
    if "*" not in config.videos:
        raise UsageError(f"videos={config.videos}: expected * in it, where a video's name goes")
    detections, out = Path(config.detections), Path(config.out)
    rows = manifest_rows(detections, config.format, config.videos, config.run, out.parent, config)
    if not rows:
        raise UsageError(f"{config.detections}: no object was detected for long enough to be prompted")
    write_manifest(rows, out)
    kinds = Counter(row["kind"] or "keyframe" for row in rows)
    objects = {(row["video_id"], row["object_id"]) for row in rows}
    videos = {video_id for video_id, _ in objects}
    print(
        f"{out}: {kinds['keyframe']} key frames and {kinds['correction']} corrections "
        f"of {len(objects)} objects in {len(videos)} videos"
    )
    return DONE


if __name__ == "__main__":
    run_job("prompt_from_detections", FromDetectionsJob, main)
