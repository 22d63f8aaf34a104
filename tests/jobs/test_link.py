"""Who is who, from manifest to identities: somebody leaves and comes back, and masks stay as they are."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.clips import SIZE_HW, box, write_manifest, write_video
from tests.conftest import REPOSITORY
from tests.jobs.conftest import masks_in, run_job, segment

LEAVES_BY, RETURNS_AT = 30, 44


def leaving_and_returning(num_frames: int) -> Iterator[np.ndarray]:
    """Yield frames of a disc that leaves to the right, returns from the left, and of a square that stays."""
    texture = np.random.default_rng(1).integers(70, 110, (*SIZE_HW, 3), dtype=np.uint8)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    for t in range(num_frames):
        image = texture.copy()
        image[(abs(rows - 46) < 12) & (abs(columns - 80) < 12)] = (40, 60, 220)
        y, x = (22, 110 + 3 * t) if t < LEAVES_BY else (74, 3 * (t - RETURNS_AT) + 12)
        image[(rows - y) ** 2 + (columns - x) ** 2 < 13**2] = (220, 50, 40)
        yield image


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Object 2 is the disc again, prompted when it is back; object 3 is the square."""
    folder = tmp_path_factory.mktemp("leaving")
    write_video(folder / "leaving.mp4", leaving_and_returning(60))
    rows = [
        box("leaving", 1, 0, [97, 9, 123, 35]),
        box("leaving", 2, RETURNS_AT + 4, [11, 61, 37, 87]),
        box("leaving", 3, 0, [68, 34, 92, 58]),
    ]
    write_manifest(folder / "prompts.parquet", rows)
    code, output = run_job("segment", *segment(folder, folder / "run"))
    assert code == 0, output
    return folder / "run"


def identities(run, *settings):
    code, output = run_job("link", f"run={run}", *settings)
    assert code == 0, output
    return pq.read_table(run / "identities.parquet").to_pylist(), output


def test_one_who_leaves_and_comes_back_is_one_and_no_mask_changes(run):
    before = masks_in(run)
    rows, output = identities(run)
    assert {row["object_id"]: row["identity_id"] for row in rows} == {1: 1, 2: 1, 3: 2}
    (link,) = rows[0]["links"]
    assert (link["video_id"], link["object_id"]) == ("leaving", 2)
    assert rows[0]["score"] == link["similarity"] > 0.9
    assert rows[-1]["score"] is None and rows[-1]["links"] == []
    assert "3 objects are 2 identities: 1 links within a video, 0 across videos" in output
    assert masks_in(run) == before

    rows, _ = identities(run, "within.max_gap_seconds=0.1")
    assert len({row["identity_id"] for row in rows}) == 3


def test_one_whom_two_cameras_saw_is_one(tmp_path):
    rows = []
    for name, box_xyxy in (("person_cam01", [67, 83, 141, 291]), ("person_cam02", [101, 98, 188, 281])):
        write_small_frames(tmp_path / name, name, count=12)
        rows.append(box(name, 1, 0, box_xyxy, "person") | {"video_uri": name})
    write_manifest(tmp_path / "prompts.parquet", rows)
    code, output = run_job("segment", *segment(tmp_path, tmp_path / "run"))
    assert code == 0, output

    rows, output = identities(tmp_path / "run")
    assert [row["identity_id"] for row in rows] == [1, 1], rows
    assert "0 links within a video, 1 across videos" in output


def write_small_frames(folder: Path, clip: str, count: int) -> None:
    """Write the first frames of a bundled clip, at a quarter of its size."""
    folder.mkdir()
    with av.open(REPOSITORY / "pipeline/bundled/clips" / f"{clip}.mp4") as container:
        for index, frame in enumerate(islice(container.decode(video=0), count)):
            frame.to_image(width=frame.width // 4, height=frame.height // 4).save(folder / f"{index:03d}.png")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["within.min_similarity=2"], "within.min_similarity must be -1 to 1, got 2"),
        (["across.linkage=single"], "average, complete"),
        ([], "found no objects.parquet"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, settings, named):
    code, output = run_job("link", f"run={tmp_path}", *settings)
    assert code == 1
    assert named in output
