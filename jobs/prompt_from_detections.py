"""Make prompts of a detector's boxes: `python -m jobs.prompt_from_detections detections=URI out=FILE`."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.manifest_write import rows_of_manifest, write_manifest
from pipeline.stages.prompt_from_detections import (
    FromDetectionsConfig,
    correction_rows,
    key_frame_rows,
    manifest_of,
)


@dataclass
class FromDetectionsJob(FromDetectionsConfig):
    """Which detections, and what they are made to: key frames, or corrections of a run."""

    detections: str = MISSING
    out: str = MISSING
    run: str | None = None
    base: str | None = None


def main(config: FromDetectionsJob) -> int:
    out = Path(config.out)
    if config.run is not None:
        base = rows_of_manifest(config.base or manifest_of(config.run), out.parent)
        found = correction_rows(config.detections, config.run, base, config)
        write_manifest([*base, *found], out)
        print(f"{out}: {len(base)} prompts as they were and {len(found)} more")
        return DONE
    if config.base is not None:
        raise UsageError("base=MANIFEST goes with run=OUT")
    rows = key_frame_rows(config.detections, out.parent, config)
    if not rows:
        raise UsageError(f"{config.detections}: no object in it is seen well enough to be prompted")
    write_manifest(rows, out)
    objects = {(row["video_id"], row["object_id"]) for row in rows}
    videos = {video_id for video_id, _ in objects}
    print(f"{out}: {len(rows)} key frames of {len(objects)} objects in {len(videos)} videos")
    return DONE


if __name__ == "__main__":
    run_job("prompt_from_detections", FromDetectionsJob, main)
