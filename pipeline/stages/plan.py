"""Manifest to shards: which units of work a run has, and what decides the masks of each."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.errors import PipelineError, UsageError
from pipeline.inputs.manifest import ManifestConfig, VideoPrompts, load_manifest
from pipeline.inputs.source import SourceConfig, source_identity
from pipeline.records import Shard
from pipeline.stages.model import find_weights
from pipeline.stages.segment_config import SegmentConfig
from pipeline.work.fingerprints import fingerprint
from pipeline.work.shards import make_shards

logger = logging.getLogger(__name__)


@dataclass
class PlanConfig:
    """How videos are split into shards."""

    objects_per_shard: int | None = None  # None: all objects of a video in one

    def __post_init__(self):
        if self.objects_per_shard is not None and self.objects_per_shard < 1:
            raise ValueError(
                f"plan.objects_per_shard must be 1 or more, or null, got {self.objects_per_shard}"
            )


def make_plan(manifest: str, check: ManifestConfig, plan: PlanConfig, segment: SegmentConfig) -> list[Shard]:
    """Check the whole manifest and return all shards of it, each with its fingerprint.

    Raises:
        ManifestError: With all faults at once.
        WeightsError: The model's weights can't be had.
        UsageError: Objects would be split that non-overlap ties together.
    """
    if segment.engine.non_overlap and plan.objects_per_shard is not None:
        raise UsageError(
            "engine.non_overlap needs all objects of a video in one shard: set plan.objects_per_shard=null"
        )
    videos = load_manifest(manifest, check, segment.source)
    _, weights_sha256 = find_weights(segment.model)
    return [
        replace(
            shard, fingerprint=fingerprint(shard.prompts, source, segment.affecting_masks(), weights_sha256)
        )
        for video, source in ((video, _identity(video, segment.source)) for video in videos)
        for shard in _shards(video, plan)
    ]


def _shards(video: VideoPrompts, plan: PlanConfig) -> list[Shard]:
    frames = video.facts.num_frames_hint if video.facts else 0
    return make_shards(video.video_id, video.video_uri, video.prompts, frames, plan.objects_per_shard)


def _identity(video: VideoPrompts, config: SourceConfig) -> Mapping[str, str | int] | None:
    if video.facts is None:
        logger.warning("video %s can't be read", video.video_id)
    try:
        return source_identity(video.video_uri, config)
    except PipelineError:
        return None
