"""Run, review, fill in, run again: the masks get better where a person said so."""

import csv
import shutil

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from pipeline import read_masks
from pipeline.schemas import QUALITY
from tests.clips import SIZE_HW, box, moving_shapes, write_manifest, write_video
from tests.jobs.conftest import run_job, segment

FRAMES, TOUCHED = 24, 10
RED = (220, 50, 40)


def disc(t):
    """Return the disc's true mask."""
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return (rows - 39) ** 2 + (columns - 31 - t) ** 2 < 13**2


def images():
    """Yield frames on which, from one on, a block of the disc's colour touches it: the mask runs over."""
    for t, image in enumerate(moving_shapes(FRAMES)):
        if t >= TOUCHED:
            image[20:90, 40 + t : 75 + t] = RED
        image[disc(t)] = RED
        yield image


def mean_iou(run):
    ious = []
    for frame in read_masks(run, video_id="touched"):
        found, true = frame.masks[0], disc(frame.frame_index)
        ious.append((found & true).sum() / (found | true).sum())
    return float(np.mean(ious))


def fill_in(path):
    """Give every suggested row the true mask, as a person would, and leave one row empty.

    Masks, for what a box or a click gives differs with nano's training; so does how sure it is of itself.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["mask_png"] = f"true-{row['frame_index']}.png"
        Image.fromarray(disc(int(row["frame_index"]))).save(path.parent / row["mask_png"])
    empty = {"video_id": "touched", "object_id": "1", "frame_index": "3", "kind": "correction"}
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows([*rows, empty])
    return rows


def test_what_is_filled_in_makes_the_masks_better(tmp_path):
    write_video(tmp_path / "touched.mp4", images())
    write_manifest(tmp_path / "prompts.parquet", [box("touched")])
    run = tmp_path / "run"
    assert run_job("segment", *segment(tmp_path, run))[0] == 0
    before = mean_iou(run)
    (video,) = pq.read_table(run / "videos.parquet").to_pylist()
    assert any(flag.startswith("drift:") for flag in video["flags"])

    code, output = run_job("review", f"run={run}", "min_severity=0.5", "min_gap_frames=1")
    assert code == 0, output
    assert pq.read_table(run / "review" / "quality.parquet").schema.equals(QUALITY)
    suggested = fill_in(run / "review" / "suggestions.csv")
    assert all(int(row["frame_index"]) >= TOUCHED for row in suggested)
    for row in suggested:
        with Image.open(run / "review" / row["image"]) as image:
            assert image.size == (SIZE_HW[1], SIZE_HW[0])

    base = shutil.copy(tmp_path / "prompts.parquet", tmp_path / "base.parquet")
    csv_file, out = run / "review" / "suggestions.csv", tmp_path / "prompts.parquet"
    code, output = run_job("manifest", f"csv={csv_file}", f"base={base}", f"out={out}")
    assert (code, pq.read_table(out).num_rows) == (0, 1 + len(suggested)), output
    code, output = run_job("segment", *segment(tmp_path, run, "on_change=rerun"))
    assert code == 0, output
    assert mean_iou(run) > before + 0.05
