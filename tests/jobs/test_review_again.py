"""A review is filled in and goes back into the manifest; what somebody filled in is never lost."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import manifest, review
from pipeline.errors import UsageError
from pipeline.inputs.manifest import ManifestConfig, load_manifest
from pipeline.inputs.source import SourceConfig
from pipeline.schemas import VIDEOS
from tests.clips import SIZE_HW, box, moving_shapes, write_manifest, write_video
from tests.outputs.tables import frame_masks, write_masks

FRAMES, JUMP = 12, 8


def block(side):
    mask = np.zeros(SIZE_HW, bool)
    mask[20 : 20 + side, 30 : 30 + side] = True
    return mask


@pytest.fixture
def folder(tmp_path):
    """A folder with a labelled prompt, and a run whose mask doubles its sides on one frame."""
    write_video(tmp_path / "shapes.mp4", moving_shapes(FRAMES))
    write_manifest(tmp_path / "prompts.parquet", [box("shapes", label="disc")])
    masks = [frame_masks(t, {1: block(40 if t >= JUMP else 20)}, [1] * (t == 0)) for t in range(FRAMES)]
    write_masks(tmp_path / "run", "shapes", masks, {1: "disc"})
    video = {
        **dict.fromkeys(("shards", "objects", "attempts"), 1),
        "video_id": "shapes",
        "video_uri": str(tmp_path / "shapes.mp4"),
        "status": "done",
        "frames": FRAMES,
        "seconds": 1.0,
        "flags": [],
    }
    pq.write_table(pa.Table.from_pylist([video], schema=VIDEOS), tmp_path / "run" / "videos.parquet")
    return tmp_path


def review_of(folder, **settings):
    """Review the run; return the rows of its suggestions."""
    assert review.main(review.ReviewJob(run=str(folder / "run"), **settings)) == 0
    return suggested(folder)


def suggested(folder):
    with (folder / "run" / "review" / "suggestions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def fill_in(folder, **cells):
    """Write cells into the first suggestion."""
    first, *others = suggested(folder)
    with (folder / "run" / "review" / "suggestions.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list({**first, **cells}))
        table.writeheader()
        table.writerows([{**first, **cells}, *others])


def images_in(folder):
    return sorted(f"images/{path.name}" for path in (folder / "run" / "review" / "images").glob("*"))


def test_what_is_filled_in_goes_with_the_labels_of_the_manifest(folder):
    assert int(review_of(folder)[0]["frame_index"]) == JUMP
    fill_in(folder, points_xy="[[40, 30]]", point_labels="[1]")
    csv_file, base, out = (
        folder / name for name in ("run/review/suggestions.csv", "prompts.parquet", "c.parquet")
    )
    assert manifest.main(manifest.ManifestJobConfig(out=str(out), csv=str(csv_file), base=str(base))) == 0

    (video,) = load_manifest(str(out), ManifestConfig(), SourceConfig())

    assert [(p.frame_index, p.label, p.is_correction) for p in video.prompts] == [
        (0, "disc", False),
        (JUMP, "disc", True),
    ]


@pytest.mark.parametrize(
    "cells",
    [
        {"points_xy": "[[40, 30]]"},
        {"point_labels": "[1]"},
        {"box_xyxy": "[1, 2, 3, 4]"},
        {"mask_png": "m.png"},
    ],
)
def test_what_is_filled_in_is_not_overwritten(folder, cells):
    review_of(folder)
    fill_in(folder, **cells)
    before, images = suggested(folder), images_in(folder)

    with pytest.raises(
        UsageError, match=r"suggestions\.csv: .* what is filled in \(rows: 1\).*move the file away"
    ):
        review_of(folder)

    assert (suggested(folder), images_in(folder)) == (before, images)


def test_a_second_review_leaves_no_image_of_the_first(folder):
    (row,) = review_of(folder, per_video=1)
    assert images_in(folder) == [row["image"]]
    assert review_of(folder, min_severity=100.0) == []
    assert images_in(folder) == []


def test_no_prompted_frame_is_suggested_however_little_is_asked_for(folder):
    rows = review_of(folder, min_severity=0.0, min_gap_frames=1, per_video=100, images=False)
    assert 0 not in {int(row["frame_index"]) for row in rows}
    assert all(row["reasons"] for row in rows)
