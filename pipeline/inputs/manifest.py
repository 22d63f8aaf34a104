"""The prompt manifest: read, and checked whole before any work starts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from pipeline.errors import DecodeCorrupt, InputMissing, InputTooLarge, InputUnavailable, ManifestError
from pipeline.inputs.manifest_checks import (
    PromptRow,
    RowsOnVideo,
    by_video,
    contradictions,
    misfits,
    on_other_videos,
    on_own_video,
    parse_row,
    too_many_objects,
    with_labels,
)
from pipeline.inputs.manifest_table import Fault, base_of, read_rows, resolved
from pipeline.inputs.probe import VideoFacts
from pipeline.inputs.probe_process import ended_with_failure, look_from_afar
from pipeline.inputs.source import SourceConfig, localized
from pipeline.records import Direction, Prompt


class UnreadableVideos(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """What a video is that cannot be read when the manifest is checked."""

    fault = "fault"  # a fault of the manifest: nothing starts
    keep = "keep"  # kept without facts, for the run to try and to quarantine


@dataclass
class ManifestConfig:
    """How a manifest is checked."""

    unreadable_videos: UnreadableVideos = UnreadableVideos.fault
    probe_threads: int = 4
    probe_seconds: float = 1800.0  # for looking at one video: one that hangs its decoder is unreadable
    max_faults_shown: int = 1000
    max_objects: int = 1000  # of one video

    def __post_init__(self):
        for name in ("probe_threads", "max_faults_shown", "max_objects"):
            if getattr(self, name) < 1:
                raise ValueError(f"check.{name} must be 1 or more, got {getattr(self, name)}")
        if self.probe_seconds <= 0:
            raise ValueError(f"check.probe_seconds must be above 0, got {self.probe_seconds}")


@dataclass(frozen=True)
class VideoPrompts:
    """One video of a manifest with all its prompts, checked."""

    video_id: str
    video_uri: str  # absolute
    prompts: tuple[Prompt, ...]  # in the manifest's order
    facts: VideoFacts | None  # None: unreadable, and kept for the run to quarantine


def load_manifest(
    uri: str,
    config: ManifestConfig,
    source: SourceConfig,
    directions: Sequence[Direction] = (Direction.FORWARD,),
) -> list[VideoPrompts]:
    """Return the videos of a manifest, in the order of their first rows.

    Args:
        uri: a Parquet file, or a folder of them; any fsspec URI or path.
        config: how strict to be.
        source: where remote videos lie while they are looked at.
        directions: that the objects will be tracked in.

    Raises:
        ManifestError: with every fault found in any row, column and video, one line each.
        InputMissing: no manifest is there.
        InputUnavailable: the store does not answer.
    """
    rows, faults = read_rows(uri)
    base = base_of(uri)
    parsed = [parse_row(row, lambda video_uri: resolved(video_uri, base)) for row in rows]
    prompts = with_labels([prompt for prompt, _ in parsed if prompt is not None])
    videos = list(by_video(prompts).values())
    on_videos = [*map(on_own_video, videos), *on_other_videos(prompts)]
    with ThreadPoolExecutor(config.probe_threads) as pool, ended_with_failure():
        looked_at = list(pool.map(lambda on_one: _look_at(on_one, config, source), on_videos))
    faults += [fault for _, row_faults in parsed for fault in row_faults]
    faults += contradictions(prompts, directions)
    faults += too_many_objects(prompts, config.max_objects)
    faults += [fault for _, video_faults in looked_at for fault in video_faults]
    if faults:
        raise ManifestError(report(faults, config.max_faults_shown))
    return [_video_prompts(video, facts) for video, (facts, _) in zip(videos, looked_at, strict=False)]


def report(faults: list[Fault], max_shown: int) -> str:
    """Return the faults in the order of files and rows, one line each, and how many are left out."""
    ordered = sorted(faults, key=lambda fault: (fault.file, -1 if fault.row is None else fault.row))
    count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
    lines = [f"{count} (rows count from 0)", *map(str, ordered[:max_shown])]
    if len(faults) > max_shown:
        lines.append(f"... and {len(faults) - max_shown} more")
    return "\n".join(lines)


def _look_at(
    on_one: RowsOnVideo, config: ManifestConfig, source: SourceConfig
) -> tuple[VideoFacts | None, list[Fault]]:
    """Return what is known of a video, and what is wrong with it or with the fit of the prompts on it."""
    try:
        furthest = max((row.draft.frame_index or 0 for row in on_one.prompts), default=0)
        with localized(on_one.uri, source) as path:
            facts = look_from_afar(path, furthest, config.probe_seconds)
    except (InputMissing, InputUnavailable, InputTooLarge, DecodeCorrupt) as error:
        if config.unreadable_videos is UnreadableVideos.keep:
            return None, []
        return None, [on_one.first.fault(on_one.column, error, "a video that can be read")]
    return facts, [fault for row in on_one.prompts for fault in misfits(row, facts)]


def _video_prompts(rows: list[PromptRow], facts: VideoFacts | None) -> VideoPrompts:
    prompts = tuple(row.draft.checked() for row in rows)
    return VideoPrompts(rows[0].video_id, rows[0].video_uri, prompts, facts)
