"""Check a manifest and its videos, and nothing else: no GPU, no model, nothing written."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.engine.config import Directions
from pipeline.inputs.manifest import ManifestConfig, load_manifest
from pipeline.inputs.source import SourceConfig


@dataclass
class ValidateConfig:
    manifest: str = MISSING
    check: ManifestConfig = field(default_factory=ManifestConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    direction: Directions = Directions.forward


def main(config: ValidateConfig) -> int:
    videos = load_manifest(config.manifest, config.check, config.source, config.direction.each)
    prompts = [prompt for video in videos for prompt in video.prompts]
    objects = {(video.video_id, prompt.object_id) for video in videos for prompt in video.prompts}
    frames = sum(video.facts.num_frames_hint for video in videos if video.facts)
    print(f"{len(videos)} videos, {frames} frames, {len(objects)} objects, {len(prompts)} prompts: no faults")
    for video in videos:
        if video.facts is None:
            print(f"unreadable, kept: {video.video_id}")
    return DONE


if __name__ == "__main__":
    run_job("validate", ValidateConfig, main)
