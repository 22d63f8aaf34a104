"""Detections of a real video to prompts, and to corrections of what a run made of them, round after round."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputMissing, UsageError
from pipeline.inputs.detection import Detection
from pipeline.inputs.manifest import ManifestConfig, load_manifest
from pipeline.inputs.manifest_write import rows_of_manifest, write_manifest
from pipeline.inputs.prompt_policy import PartedKind, PromptPolicy
from pipeline.inputs.source import SourceConfig
from pipeline.inputs.tracklets import ByteTrackConfig
from pipeline.stages.prompt_from_detections import (
    FromDetectionsConfig,
    correction_rows,
    key_frame_rows,
    manifest_of,
)
from tests.clips import DISC_BOX, SIZE_HW, SQUARE_BOX
from tests.inputs.detection_files import row_of, write_detections
from tests.outputs.tables import frame_masks, write_masks
from tests.stages.segmenting import FRAMES

FAR = (100.0, 2.0, 126.0, 28.0)
DISC, SQUARE = 1, 2


def moved(box, by):
    return (box[0] + by, box[1], box[2] + by, box[3])


def disc(t):
    return moved(DISC_BOX, t)


def square(t):
    return moved(SQUARE_BOX, -t)


def mask_of(box):
    x0, y0, x1, y1 = map(int, box)
    mask = np.zeros(SIZE_HW, bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def job(video, tmp_path):
    return Job(video, tmp_path)


class Job:
    """The prompts of one folder, made from what a detector says of the video and what a run has made."""

    def __init__(self, video: Path, folder: Path):
        self.video, self.folder = video, folder
        self.run, self.manifest = str(folder / "run"), str(folder / "prompts.parquet")
        self.detect([Detection(t, disc(t), 0.9, "disc") for t in range(FRAMES)])

    def detect(self, detections):
        rows = [row_of(one, "shapes", video_uri=str(self.video)) for one in detections]
        self.detections = str(write_detections(self.folder / "boxes.parquet", rows))

    def segment(self, masks, prompted=((0, DISC),)):
        """Write what a run is to have made: `masks(t)` gives boxes by object id."""
        frames = []
        for t in range(FRAMES):
            drawn = {object_id: mask_of(box) for object_id, box in masks(t).items()}
            frames.append(frame_masks(t, drawn, [object_id for frame, object_id in prompted if frame == t]))
        write_masks(Path(self.run), "shapes", frames)

    def prompt(self, **config):
        """Make the key frames, and return them."""
        rows = key_frame_rows(self.detections, self.folder, FromDetectionsConfig(**config))
        self._write(rows)
        return rows

    def correct(self, **config):
        """Add corrections of the run to the manifest, and return them; the other rows stay."""
        before = rows_of_manifest(self.manifest, self.folder)
        found = correction_rows(self.detections, self.run, before, FromDetectionsConfig(**config))
        self._write([*before, *found])
        assert rows_of_manifest(self.manifest, self.folder)[: len(before)] == before
        return [(row["object_id"], row["frame_index"]) for row in found]

    def _write(self, rows):
        write_manifest(rows, Path(self.manifest))
        load_manifest(self.manifest, ManifestConfig(), SourceConfig())


def test_objects_are_prompted_from_the_first_box_on_with_paths_that_hold_from_the_manifest(job):
    job.detect(
        [Detection(t, disc(t), 0.95 if t == 0 else 0.9, "disc") for t in range(9)]
        + [Detection(20, FAR, 0.7, "flash")]
    )

    [row] = job.prompt()
    assert (row["object_id"], row["frame_index"], row["box_xyxy"]) == (1, 0, DISC_BOX)
    assert (job.folder / row["video_uri"]).resolve() == job.video.resolve()
    assert not Path(row["video_uri"]).is_absolute()

    rows = job.prompt(bytetrack=ByteTrackConfig(min_length_frames=1))
    assert [(row["frame_index"], row["label"]) for row in rows] == [(0, "disc"), (20, "flash")]


def test_corrections_of_earlier_rounds_are_kept_and_later_ones_added(job):
    job.prompt()
    job.segment(lambda t: {DISC: disc(t) if t < 10 else FAR})
    assert job.correct() == [(DISC, 10)]

    job.segment(lambda t: {DISC: disc(t) if t < 25 else FAR}, [(0, DISC), (10, DISC)])
    assert job.correct() == [(DISC, 25)]

    rows = rows_of_manifest(job.manifest, job.folder)
    assert [(row["frame_index"], row["kind"]) for row in rows] == [
        (0, None),
        (10, "correction"),
        (25, "correction"),
    ]


def test_a_run_that_has_not_seen_a_correction_is_no_evidence_for_more(job):
    job.prompt()
    job.segment(lambda t: {DISC: disc(t) if t < 10 else FAR})
    assert job.correct() == [(DISC, 10)]

    assert job.correct() == []


def test_a_correction_by_time_counts_like_one_by_frame(job):
    job.prompt()
    job.segment(lambda t: {DISC: disc(t) if t < 10 else FAR})
    assert job.correct() == [(DISC, 10)]
    key_frame, correction = rows_of_manifest(job.manifest, job.folder)
    by_time = {**correction, "frame_index": None, "time_seconds": 10.5 / 25}
    job._write([row | {"video_uri": str(job.video)} for row in (key_frame, by_time)])

    assert job.correct() == []


def test_what_its_masks_have_left_may_also_be_said_anew_to_the_whole_video(job):
    job.prompt()
    job.segment(lambda t: {DISC: disc(t) if t < 10 else FAR})

    job.correct(prompts=PromptPolicy(parted_kind=PartedKind.keyframe))

    assert [row["kind"] for row in rows_of_manifest(job.manifest, job.folder)] == [None, "keyframe"]


def row_by_hand(job, object_id, **more):
    return {"video_id": "shapes", "video_uri": str(job.video), "object_id": object_id, "label": None} | more


def test_objects_that_were_prompted_by_hand_are_known_by_where_their_masks_were(job):
    """Object 1 is the square and 7 the disc; the detector's first object is the disc."""
    job.detect(
        [Detection(t, disc(t), 0.9) for t in range(FRAMES)]
        + [Detection(t, square(t), 0.8) for t in range(FRAMES)]
    )
    clicks = {1: [120, 62], 7: [31, 39]}
    job._write(
        [row_by_hand(job, i, frame_index=0, points_xy=[xy], point_labels=[1]) for i, xy in clicks.items()]
    )
    job.segment(lambda t: {1: square(t), 7: disc(t) if t < 12 else FAR}, [(0, 1), (0, 7)])

    assert job.correct() == [(7, 12)]


def test_an_object_that_another_video_shows_is_corrected_from_the_first_frame_on(job):
    other = row_by_hand(job, 7, frame_index=3, box_xyxy=DISC_BOX, prompt_video_uri="other.mp4")
    (job.folder / "other.mp4").symlink_to(job.video)
    job._write([other])
    job.segment(lambda t: {7: FAR if t < 8 else disc(t)}, [])

    assert job.correct() == [(7, 0)]


def test_what_does_not_fit_the_run_is_named(job):
    job.prompt()
    with pytest.raises(
        InputMissing, match=r"no masks of any video that there are detections of, \['shapes'\]"
    ):
        job.correct()
    with pytest.raises(InputMissing, match=r"run: no run\.json"):
        manifest_of(job.run)
    with pytest.raises(UsageError, match="video 'shapes': 2 objects, check.max_objects allows 1"):
        job.detect([Detection(t, box, 0.9) for t in range(9) for box in (disc(t), FAR)])
        job.prompt(check=ManifestConfig(max_objects=1))
