"""Running a setting, by the jobs as commands, and reading back what it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.tracking_prompts import Found
from benchmarks.tracking_settings import Setting
from benchmarks.tracking_truth import TrueVideo
from benchmarks.truth import EXACT, job
from pipeline.inputs.manifest_write import write_manifest
from pipeline.outputs.reader import read_masks

Ids = Mapping[tuple[str, int], int]  # by video and object id: who it is


@dataclass(frozen=True)
class Run:
    """A finished run, and who its objects are if that was asked."""

    folder: Path
    ids: Ids

    def found(self, video_id: str) -> tuple[Found, set[int]]:
        """Return a video's masks, by frame index and identity, and the frames with a prompt."""
        found: Found = {}
        prompted = set()
        for frame in read_masks(self.folder, video_id=video_id):
            of_frame: dict[int, np.ndarray] = {}
            for object_id, mask in zip(frame.object_ids, frame.masks, strict=True):
                who = self.ids.get((video_id, object_id), object_id)
                of_frame[who] = of_frame[who] | mask if who in of_frame else mask
            found[frame.frame_index] = of_frame
            if frame.prompted.any():
                prompted.add(frame.frame_index)
        return found, prompted


def run_setting(
    setting: Setting, videos: Mapping[str, TrueVideo], folder: Path, looked_at: Run | None
) -> Run | None:
    """Segment the videos that the setting is for; None if there are none of them.

    Args:
        folder: of this setting, new.
        looked_at: the run of `setting.looks_at`.
    """
    its = [videos[i] for i in setting.videos or videos if i in videos]
    rows = [
        row
        for video in its
        for row in setting.prompts(video, looked_at.found(video.video_id)[0] if looked_at else {}, videos)
    ]
    if not rows:
        return None
    manifest, run = folder / "prompts.parquet", folder / "run"
    folder.mkdir(parents=True)
    write_manifest(rows, manifest)
    job("segment", f"manifest={manifest}", f"run={run}", *EXACT, *setting.overrides)
    if setting.links:
        job("link", f"run={run}")
    return Run(run, _linked(run) if setting.links else {})


def _linked(run: Path) -> Ids:
    """Return for each object the least object id among those that are the same in its video."""
    rows = pq.read_table(run / "identities.parquet").to_pylist()
    least: dict[tuple[str, int], int] = {}
    for row in rows:
        key = row["video_id"], row["identity_id"]
        least[key] = min(row["object_id"], least.get(key, row["object_id"]))
    return {(row["video_id"], row["object_id"]): least[row["video_id"], row["identity_id"]] for row in rows}
