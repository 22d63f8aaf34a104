"""Turn videos into folders of checked JPEG frames."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs.edge import DONE, SHARDS_QUARANTINED, run_job
from pipeline.errors import DecodeCorrupt, InputMissing, InputTooLarge, InputUnavailable, UsageError
from pipeline.inputs.manifest import ManifestConfig, UnreadableVideos, load_manifest
from pipeline.stages.extract import ExtractConfig, extract
from pipeline.storage.names import path_name

log = logging.getLogger(__name__)
REPORT_EVERY_FRAMES = 500


@dataclass
class ExtractJobConfig(ExtractConfig):
    """What is extracted, and where to."""

    out: str = MISSING
    video: str | None = None
    manifest: str | None = None


def main(config: ExtractJobConfig) -> int:
    if (config.video is None) == (config.manifest is None):
        raise UsageError("give exactly one of video=URI and manifest=URI")
    failed = 0
    for uri, folder in _videos(config):
        try:
            done = extract(uri, folder, config, lambda index, folder=folder: _report(folder, index))
            print(f"{folder}: {done.frames} frames, {done.written} written now, all read back")
        except (InputMissing, InputUnavailable, InputTooLarge, DecodeCorrupt) as error:
            failed += 1
            print(f"{folder}: given up: {type(error).__name__}: {error}")
    return SHARDS_QUARANTINED if failed else DONE


def _videos(config: ExtractJobConfig) -> Iterator[tuple[str, Path]]:
    if config.video is not None:
        yield config.video, Path(config.out)
        return
    check = ManifestConfig(UnreadableVideos.keep)
    for video in load_manifest(str(config.manifest), check, config.source):
        yield video.video_uri, Path(config.out) / path_name(video.video_id)


def _report(folder: Path, index: int) -> None:
    if (index + 1) % REPORT_EVERY_FRAMES == 0:
        log.info("%s: %d frames", folder, index + 1)


if __name__ == "__main__":
    run_job("extract", ExtractJobConfig, main)
