"""Detections of any detector to a prompt manifest, and to corrections of a run over it."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import DecodeCorrupt, InputMissing
from pipeline.inputs.detections import DetectionFormat, read_detections
from pipeline.inputs.probe import VideoFacts
from pipeline.inputs.probe_process import look_from_afar
from pipeline.inputs.prompt_policy import Box, PromptPolicy, corrections, key_frames
from pipeline.inputs.source import SourceConfig, localized
from pipeline.inputs.tracklets import ByteTrackConfig, tracklets_of
from pipeline.outputs.reader import read_masks
from pipeline.records import Prompt
from pipeline.storage.uris import local_path

LIMIT_SECONDS = 1800.0  # of looking at one video


@dataclass
class FromDetectionsConfig:
    """How detections become prompts."""

    bytetrack: ByteTrackConfig = field(default_factory=ByteTrackConfig)
    prompts: PromptPolicy = field(default_factory=PromptPolicy)
    source: SourceConfig = field(default_factory=SourceConfig)


def manifest_rows(
    path: Path,
    kind: DetectionFormat,
    videos: str,
    run: str | None,
    out_folder: Path,
    config: FromDetectionsConfig,
) -> list[dict[str, Any]]:
    """Return manifest rows: each object's key frames, and corrections where a run parts from the detector.

    Args:
        videos: Where a video is, with `*` in place of its name.
        out_folder: Of the manifest, that paths in it start from.
        run: A run over the key frames that the same detections and settings gave; None: no corrections.

    Raises:
        InputMissing: No detections, or the run has no masks.
        ManifestError: With all faults of the detections.
    """
    facts_of = cache(lambda video_id: _facts(videos.replace("*", video_id), config.source))
    rows = []
    for video_id, detections in read_detections(path, kind, facts_of).items():
        facts = facts_of(video_id)
        assert facts is not None  # or its detections would have been refused
        tracklets = tracklets_of(detections, facts.num_frames_hint / facts.duration_seconds, config.bytetrack)
        prompts = key_frames(tracklets, config.prompts)
        if run is not None:
            prompts += _new(corrections(tracklets, _boxes(run, video_id), config.prompts), prompts)
        uri = videos.replace("*", video_id)
        local = local_path(uri)
        uri = uri if local is None else os.path.relpath(local, out_folder)
        rows += [_row(video_id, uri, prompt) for prompt in prompts]
    return rows


def _facts(uri: str, source: SourceConfig) -> VideoFacts | None:
    try:
        with localized(uri, source) as path:
            return look_from_afar(path, 0, LIMIT_SECONDS)
    except (InputMissing, DecodeCorrupt):
        return None


def _boxes(run: str, video_id: str) -> dict[int, dict[int, Box | None]]:
    boxes: dict[int, dict[int, Box | None]] = defaultdict(dict)
    table = read_masks(run, video_id=video_id).to_table(["object_id", "frame_index", "box_xyxy"])
    for row in table.to_pylist():
        box = row["box_xyxy"]
        boxes[row["object_id"]][row["frame_index"]] = box and (box[0], box[1], box[2], box[3])
    return boxes


def _new(found: Sequence[Prompt], given: Iterable[Prompt]) -> list[Prompt]:
    """Leave out corrections on frames that have a prompt, or before the object's first one."""
    places: dict[int, set[int]] = defaultdict(set)
    for prompt in given:
        places[prompt.object_id].add(prompt.frame_index or 0)
    return [
        prompt
        for prompt in found
        if (prompt.frame_index or 0) not in places[prompt.object_id]
        and (prompt.frame_index or 0) > min(places[prompt.object_id])
    ]


def _row(video_id: str, video_uri: str, prompt: Prompt) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "video_uri": video_uri,
        "object_id": prompt.object_id,
        "frame_index": prompt.frame_index,
        "box_xyxy": prompt.box_xyxy,
        "label": prompt.label,
        "kind": "correction" if prompt.is_correction else None,
    }
