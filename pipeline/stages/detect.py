"""Runs a detector over videos and writes what it finds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from pipeline import schemas
from pipeline.errors import InputMissing, UsageError
from pipeline.inputs.detection import Detection
from pipeline.inputs.detectors import Detector, DetectorConfig, detections_on, detector_maker
from pipeline.inputs.frames import FramesConfig, open_frames, read_ahead
from pipeline.inputs.manifest_table import resolved, seen_from
from pipeline.inputs.source import SourceConfig, faults_named, localized
from pipeline.storage.files import complete_or_absent
from pipeline.storage.uris import local_path, shown


@dataclass(frozen=True)
class Detected:
    """What one video gave."""

    video_id: str
    frames: int  # that the detector looked at
    detections: int


def videos_of(patterns: Sequence[str]) -> dict[str, str]:
    """Return where videos are, absolute, by id, which is a file's name without suffix.

    Args:
        patterns: Paths, URIs, or patterns of files such as `clips/*.mp4`.

    Raises:
        InputMissing: A pattern finds nothing.
        UsageError: Two videos have one name.
    """
    found = [uri for pattern in patterns for uri in _matching(pattern)]
    names = Counter(PurePosixPath(uri).stem for uri in found)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise UsageError(f"videos: several are called {doubled}; expected names that differ")
    return {PurePosixPath(uri).stem: resolved(uri, ".") for uri in found}


def detect(
    videos: dict[str, str],
    out: Path,
    config: DetectorConfig,
    source: SourceConfig,
    on_video: Callable[[Detected], None] = lambda detected: None,
) -> None:
    """Write the detections of all videos as one Parquet file, complete or not at all.

    Memory holds one video's detections and a few frames.

    Raises:
        UsageError: There is no such detector, or it returns what no detector may.
        InputMissing, DecodeCorrupt, and so on: A video can't be read.
    """
    make, folder = detector_maker(config), out.parent
    with complete_or_absent(out) as partial, pq.ParquetWriter(partial, schemas.DETECTIONS) as writer:
        for video_id, uri in videos.items():
            frames, rows = 0, []
            for found in _looked_at(uri, make(), config, source):
                frames += 1
                about = {"video_id": video_id, "video_uri": seen_from(folder, uri)}
                rows += [about | vars(one) for one in found]
            writer.write_table(pa.Table.from_pylist(rows, schema=schemas.DETECTIONS))
            on_video(Detected(video_id, frames, len(rows)))


def _looked_at(
    uri: str, detector: Detector, config: DetectorConfig, source: SourceConfig
) -> Iterator[list[Detection]]:
    """Yield the detections of each frame that the detector looks at."""
    frames_config = FramesConfig()
    with (
        localized(uri, source) as path,
        closing(read_ahead(open_frames(path, frames_config), frames_config.queue_bytes)) as frames,
    ):
        for frame in frames:
            if frame.index % config.every_frames == 0:
                yield list(detections_on(frame.index, frame.image, detector))


def _matching(pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern]
    with faults_named(pattern):
        fs, path = url_to_fs(pattern)
        found = sorted(fs.glob(path))
    if not found:
        raise InputMissing(f"{shown(pattern)}: there is no such file")
    return found if local_path(pattern) is not None else [fs.unstrip_protocol(name) for name in found]
