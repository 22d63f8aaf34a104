"""Make prompts of a detector's boxes: `python -m jobs.prompt_from_detections detections=URI out=FILE`."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.manifest_write import write_manifest
from pipeline.stages.prompt_from_detections import (
    FromDetectionsConfig,
    correction_rows,
    key_frame_rows,
    rows_of_manifest,
)


@dataclass
class FromDetectionsJob(FromDetectionsConfig):
    """Which detections, and what they are made to: key frames, or corrections of a run."""

    detections: str = MISSING
    out: str = MISSING
    run: str | None = None
    manifest: str | None = None


def main(config: FromDetectionsJob) -> int:
    if (config.run is None) != (config.manifest is None):
        raise UsageError("give run=OUT and manifest=URI, the prompts that the run was made from, together")
    out = Path(config.out)
    if config.run is None:
        rows = key_frame_rows(config.detections, config)
        if not rows:
            raise UsageError(f"{config.detections}: no object in it is seen well enough to be prompted")
        objects = {(row["video_id"], row["object_id"]) for row in rows}
        videos = {video_id for video_id, _ in objects}
        told = f"{len(rows)} key frames of {len(objects)} objects in {len(videos)} videos"
    else:
        given = rows_of_manifest(str(config.manifest), out.parent)
        found = correction_rows(config.detections, config.run, given, config)
        rows = given + found
        told = f"{len(given)} prompts as they were and {len(found)} more"
    write_manifest(rows, out)
    print(f"{out}: {told}")
    return DONE


if __name__ == "__main__":
    run_job("prompt_from_detections", FromDetectionsJob, main)
