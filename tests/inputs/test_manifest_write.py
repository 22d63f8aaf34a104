import csv
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools import mask as coco

from pipeline import schemas
from pipeline.errors import InputMissing, ManifestError
from pipeline.inputs.manifest import ManifestConfig, load_manifest
from pipeline.inputs.manifest_write import (
    PromptKind,
    click_of,
    rows_from_csv,
    rows_from_truth,
    write_manifest,
)
from pipeline.inputs.source import SourceConfig
from pipeline.records import Prompt
from tests.conftest import REPOSITORY
from tests.inputs.clips import picture, write_clip

CLIPS = REPOSITORY / "pipeline" / "bundled" / "clips"
HEADER = (
    "video_id,video_uri,object_id,frame_index,time_seconds,points_xy,point_labels,box_xyxy,mask_png,label\n"
)


def two_squares():
    """Return a label image: object 3 at the left, object 7 at the right."""
    labels = np.zeros((48, 64), np.uint8)
    labels[10:21, 10:21] = 3
    labels[30:40, 50:64] = 7
    return labels


def test_a_csv_becomes_the_manifest_it_shows(tmp_path):
    write_clip(tmp_path / "a.mp4")
    Image.fromarray(two_squares()).save(tmp_path / "mask.png")
    (tmp_path / "prompts.csv").write_text(
        HEADER
        + 'a,a.mp4,1,0,,"[[32, 18], [1, 1]]","[1, 0]",,,cat\n'
        + 'a,a.mp4,2,,0.5,,,"[1, 2, 3.5, 4]",,\n'
        + "a,a.mp4,3,4,,,,,mask.png,\n"
    )
    out = tmp_path / "elsewhere" / "prompts.parquet"

    write_manifest(rows_from_csv(tmp_path / "prompts.csv", out.parent), out)

    [video] = load_manifest(str(out), ManifestConfig(), SourceConfig())
    points, box, mask = video.prompts
    assert points == Prompt(1, 0, points_xy=((32, 18), (1, 1)), point_labels=(1, 0), label="cat")
    assert box == Prompt(2, time_seconds=0.5, box_xyxy=(1, 2, 3.5, 4))
    decoded = coco.decode({"size": list(mask.mask.size_hw), "counts": mask.mask.counts})
    assert np.array_equal(decoded, two_squares() > 0)
    assert pq.read_schema(out).equals(schemas.MANIFEST)


def test_every_unreadable_cell_is_named(tmp_path):
    (tmp_path / "p.csv").write_text(
        "video_id,video_uri,object_id,box_xyxy,colour\na,a.mp4,one,,\n,a.mp4,1,[1 2],\n"
    )

    with pytest.raises(ManifestError) as caught:
        rows_from_csv(tmp_path / "p.csv", tmp_path)

    unknown, *cells = str(caught.value).splitlines()
    assert "column colour is unknown" in unknown
    assert [re.search(r"line (\d), column (\w+)", line).groups() for line in cells] == [
        ("2", "object_id"),
        ("3", "box_xyxy"),
        ("3", "video_id"),
    ]


def test_a_value_of_the_wrong_kind_writes_nothing(tmp_path):
    (tmp_path / "p.csv").write_text(f"video_id,video_uri,object_id\na,a.mp4,{2**40}\n")

    with pytest.raises(ManifestError, match=r"p\.parquet"):
        write_manifest(rows_from_csv(tmp_path / "p.csv", tmp_path), tmp_path / "p.parquet")

    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


@pytest.mark.parametrize(
    ("column", "cell", "form"),
    [
        ("points_xy", "[50, 100]", "[[50, 100]]"),
        ("points_xy", "50, 100", "[[50, 100]]"),
        ("points_xy", "5", "[[50, 100]]"),
        ("points_xy", '[["50", "100"]]', "[[50, 100]]"),
        ("point_labels", "1", "[1]"),
        ("box_xyxy", "[1, 2, 3]", "[x0, y0, x1, y1]"),
    ],
)
def test_a_cell_of_another_form_is_named_with_the_form_it_should_have(tmp_path, column, cell, form):
    cells = {"video_id": "a", "video_uri": "a.mp4", "object_id": "1", "points_xy": "[[1, 2]]", column: cell}
    path = write_csv(tmp_path / "p.csv", cells)

    with pytest.raises(ManifestError) as caught:
        rows_from_csv(path, tmp_path)

    assert f"p.csv, line 2, column {column}: found {cell!r}; allowed: " in str(caught.value)
    assert form in str(caught.value)


def write_csv(path, *rows):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows(rows)
    return path


SUGGESTION = {"video_id": "a", "object_id": "1", "frame_index": "3", "severity": "1.20"}
BASE = [{"video_id": "a", "video_uri": "clips/a.mp4", "object_id": 1, "frame_index": 0}]


def test_what_nobody_filled_in_is_left_out_and_counted(tmp_path, caplog):
    filled_in = SUGGESTION | {"points_xy": "[[1, 2]]", "point_labels": "[1]"}
    path = write_csv(tmp_path / "p.csv", SUGGESTION, filled_in, SUGGESTION)

    with caplog.at_level("INFO"):
        rows = rows_from_csv(path, tmp_path, BASE)

    assert len(rows) == 1
    assert "p.csv: rows left out, since nothing is filled in: 2 of 3" in caplog.text


def test_labels_without_points_are_a_fault(tmp_path):
    path = write_csv(tmp_path / "p.csv", SUGGESTION | {"points_xy": "", "point_labels": "[1]"})

    with pytest.raises(ManifestError, match=r"line 2, column point_labels: found '\[1\]' without points_xy"):
        rows_from_csv(path, tmp_path, BASE)


def test_a_video_that_the_base_does_not_know_is_named_with_those_it_knows(tmp_path):
    path = write_csv(tmp_path / "p.csv", SUGGESTION | {"video_id": "b", "box_xyxy": "[1, 2, 3, 4]"})

    with pytest.raises(ManifestError, match="column video_id: found 'b', which base= does not know.*'a'"):
        rows_from_csv(path, tmp_path, BASE)
    with pytest.raises(ManifestError, match="column video_uri: nothing; allowed: a value, or base=MANIFEST"):
        rows_from_csv(path, tmp_path)


def test_uris_of_the_csv_start_from_it_and_those_of_the_base_stay(tmp_path):
    cells = SUGGESTION | {"box_xyxy": "[1, 2, 3, 4]", "prompt_video_uri": "b.mp4"}
    path = write_csv(tmp_path / "elsewhere" / "p.csv", cells, cells | {"video_uri": "../clips/a.mp4"})

    first, second = rows_from_csv(path, tmp_path, BASE)

    assert first["prompt_video_uri"] == str(tmp_path / "elsewhere" / "b.mp4")
    assert first["video_uri"] == "clips/a.mp4"
    assert second["video_uri"] == str(tmp_path / "clips" / "a.mp4")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_missing_csv_or_mask_is_named(name, tmp_path):
    (tmp_path / "p.parquet").write_text("video_id,video_uri,object_id,mask_png\na,a.mp4,1,none.png\n")

    with pytest.raises(InputMissing, match=r"p\.csv|none\.png"):
        rows_from_csv(tmp_path / name, tmp_path)


@pytest.fixture
def truth(tmp_path):
    """Two videos: one with objects 3 and 7, one with a mask of 0 and 255."""
    for video_id, labels in (("two", two_squares()), ("one", (two_squares() == 3) * np.uint8(255))):
        for name in ("frames", "masks"):
            (tmp_path / video_id / name).mkdir(parents=True)
        for index in (8, 9, 10):
            Image.fromarray(picture(index)).save(tmp_path / video_id / "frames" / f"f{index}.jpg")
            Image.fromarray(labels).save(tmp_path / video_id / "masks" / f"f{index}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "of_object_3"),
    [
        (PromptKind.box, {"box_xyxy": (10, 10, 20, 20)}),
        (PromptKind.click, {"points_xy": ((15, 15),), "point_labels": (1,)}),
    ],
)
def test_truth_gives_a_prompt_for_each_object_on_frame_0(kind, of_object_3, truth):
    write_manifest(list(rows_from_truth(truth, kind, truth)), truth / "m.parquet")

    one, two = load_manifest(str(truth / "m.parquet"), ManifestConfig(), SourceConfig())

    assert (one.video_id, two.video_id) == ("one", "two")
    assert one.prompts == (Prompt(1, 0, **of_object_3),)
    assert two.prompts[0] == Prompt(3, 0, **of_object_3)
    assert two.prompts[1].object_id == 7


def test_truth_can_give_whole_masks(truth):
    rows = list(rows_from_truth(truth, PromptKind.mask, truth))

    assert {row["object_id"]: int(coco.area(row["mask_rle"])) for row in rows} == {1: 121, 3: 121, 7: 140}


def test_a_missing_first_mask_is_named(truth):
    (truth / "two" / "masks" / "f8.png").unlink()

    with pytest.raises(InputMissing, match=r"two/masks/f8\.png"):
        list(rows_from_truth(truth, PromptKind.mask, truth))


def test_a_click_is_farthest_from_the_edge_and_from_the_border():
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = True

    x, y = click_of(mask)

    assert x == 2
    assert 2 <= y <= 17


def test_the_bundled_manifest_is_the_bundled_csv(tmp_path):
    write_manifest(rows_from_csv(CLIPS / "prompts.csv", CLIPS), tmp_path / "prompts.parquet")

    assert pq.read_table(CLIPS / "prompts.parquet").equals(pq.read_table(tmp_path / "prompts.parquet"))


def test_the_bundled_clips_fit_their_prompts_and_are_short():
    videos = load_manifest(str(CLIPS / "prompts.parquet"), ManifestConfig(), SourceConfig())

    assert sum(video.facts.num_frames_hint for video in videos) < 600
