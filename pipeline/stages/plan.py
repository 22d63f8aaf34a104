"""Manifest to shards: which units of work a run has, and what decides the masks of each."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from pipeline.engine.config import Directions
from pipeline.errors import PipelineError, UsageError
from pipeline.inputs.manifest import ManifestConfig, VideoPrompts, load_manifest
from pipeline.inputs.source import SourceConfig, source_identity
from pipeline.records import Direction, Shard
from pipeline.stages.model import find_weights
from pipeline.stages.segment_config import SegmentConfig
from pipeline.work.fingerprints import fingerprint
from pipeline.work.shards import in_directions, make_shards

Identity = Mapping[str, str | int] | None  # of a video; None: it can't be read

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
    directions = segment.tracking.direction
    videos = load_manifest(manifest, check, segment.source, directions.each)
    _, weights_sha256 = find_weights(segment.model)
    identity = cache(partial(_identity, config=segment.source))
    return [
        replace(shard, fingerprint=_fingerprint(shard, identity, segment, weights_sha256))
        for video in videos
        for shard in _shards(video, plan, directions)
    ]


def _fingerprint(
    shard: Shard, identity: Callable[[str], Identity], segment: SegmentConfig, weights_sha256: str
) -> dict[str, str]:
    references = {p.video_uri: identity(p.video_uri) for p in shard.references if p.video_uri}
    decided_by = (identity(shard.video_uri), segment.affecting_masks(), weights_sha256, references)
    direction = {"direction": segment.tracking.direction.value}
    backward = direction if shard.direction is Direction.BACKWARD else {}
    return {**fingerprint(shard.prompts, *decided_by), **backward}


def _shards(video: VideoPrompts, plan: PlanConfig, directions: Directions) -> list[Shard]:
    if video.facts is None:
        logger.warning("video %s can't be read", video.video_id)
    frames = video.facts.num_frames_hint if video.facts else 0
    shards = make_shards(video.video_id, video.video_uri, video.prompts, frames, plan.objects_per_shard)
    return [one for shard in shards for one in in_directions(shard, directions.each)]


def _identity(uri: str, config: SourceConfig) -> Identity:
    try:
        return source_identity(uri, config)
    except PipelineError:
        return None
