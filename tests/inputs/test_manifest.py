import re

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco

from pipeline import schemas
from pipeline.errors import InputMissing, ManifestError
from pipeline.inputs.manifest import ManifestConfig, UnreadableVideos, VideoPrompts, load_manifest
from pipeline.inputs.probe import VideoFacts
from pipeline.inputs.source import SourceConfig
from pipeline.records import Direction, Prompt, Rle
from tests.inputs.clips import cut_short

FULL_MASK = coco.encode(np.ones((48, 64), np.uint8, order="F"))
EMPTY_MASK = coco.encode(np.zeros((48, 64), np.uint8, order="F"))
FACTS = VideoFacts((48, 64), 20, pytest.approx(0.8))


BOX = {"box_xyxy": [1, 2, 30, 40]}
POINT = {"points_xy": [[1, 2]], "point_labels": [1]}


def test_every_kind_of_prompt_comes_through(check, clip):
    [video] = check(
        POINT | {"label": "cat"},
        BOX | {"object_id": 2, "frame_index": None, "time_seconds": 0.5},
        BOX | POINT | {"object_id": 3},
        {"object_id": 4, "mask_rle": FULL_MASK, "kind": "keyframe"},
    )

    assert video == VideoPrompts(
        "a",
        str(clip),
        (
            Prompt(1, frame_index=0, points_xy=((1, 2),), point_labels=(1,), label="cat"),
            Prompt(2, time_seconds=0.5, box_xyxy=(1, 2, 30, 40)),
            Prompt(3, frame_index=0, points_xy=((1, 2),), point_labels=(1,), box_xyxy=(1, 2, 30, 40)),
            Prompt(4, frame_index=0, mask=Rle((48, 64), FULL_MASK["counts"])),
        ),
        FACTS,
    )


@pytest.mark.parametrize(
    ("row", "column", "found"),
    [
        pytest.param({"object_id": 0} | BOX, "object_id", "0", id="object zero"),
        pytest.param({"object_id": -3} | BOX, "object_id", "-3", id="negative object"),
        pytest.param({"video_id": ""} | BOX, "video_id", "nothing", id="empty video id"),
        pytest.param({"frame_index": -1} | BOX, "frame_index", "-1", id="negative frame"),
        pytest.param({"frame_index": 20} | BOX, "frame_index", "20", id="frame past the end"),
        pytest.param({"frame_index": None} | BOX, "frame_index", "None", id="no frame at all"),
        pytest.param({"time_seconds": 0.1} | BOX, "frame_index", "0 with", id="frame and time"),
        pytest.param(
            {"frame_index": None, "time_seconds": 0.9} | BOX, "time_seconds", "0.9", id="time past the end"
        ),
        pytest.param({}, "points_xy", "no points", id="no prompt"),
        pytest.param(POINT | {"point_labels": [1, 0]}, "point_labels", "2 labels", id="labels too many"),
        pytest.param(POINT | {"point_labels": None}, "point_labels", "0 labels", id="no labels"),
        pytest.param(POINT | {"point_labels": [2]}, "point_labels", r"\[2\]", id="label two"),
        pytest.param(POINT | {"points_xy": [[64, 2]]}, "points_xy", r"\(64, 2\)", id="right of the frame"),
        pytest.param(POINT | {"points_xy": [[1, -1]]}, "points_xy", r"\(1, -1\)", id="above the frame"),
        pytest.param(POINT | {"points_xy": [[1, None]]}, "points_xy", "None", id="half a point"),
        pytest.param({"box_xyxy": [1, 2, 65, 4]}, "box_xyxy", "65", id="box too wide"),
        pytest.param({"box_xyxy": [3, 2, 1, 4]}, "box_xyxy", "3", id="box inside out"),
        pytest.param({"box_xyxy": [1, 2, float("nan"), 4]}, "box_xyxy", "nan", id="no number"),
        pytest.param(BOX | {"mask_rle": FULL_MASK}, "mask_rle", "beside", id="mask and box"),
        pytest.param({"mask_rle": FULL_MASK | {"size": [64, 48]}}, "mask_rle", "size", id="mask on its side"),
        pytest.param({"mask_rle": FULL_MASK | {"counts": b"~~"}}, "mask_rle", "corrupt", id="bad counts"),
        pytest.param({"mask_rle": FULL_MASK | {"counts": b"04"}}, "mask_rle", "4 pixels", id="short counts"),
        pytest.param({"mask_rle": EMPTY_MASK}, "mask_rle", "empty", id="empty mask"),
        pytest.param(BOX | {"kind": "guess"}, "kind", "guess", id="no such kind"),
        pytest.param(BOX | {"kind": "correction"}, "kind", "correction", id="a correction of nothing"),
        pytest.param(
            BOX | {"prompt_video_uri": "b.mp4"}, "prompt_video_uri", "b.mp4", id="no such other video"
        ),
        pytest.param(BOX | {"video_uri": "none.mp4"}, "video_uri", "none.mp4", id="no such video"),
    ],
)
def test_a_wrong_row_is_named_with_file_row_column_and_value(row, column, found, check):
    with pytest.raises(ManifestError, match=rf"m\.parquet, row 1, column {column}: found .*{found}.*allowed"):
        check({"video_id": "fine"} | BOX, row)


@pytest.mark.parametrize(
    ("second", "column"),
    [
        pytest.param({}, "object_id", id="the same prompt twice"),
        pytest.param({"frame_index": 1, "label": "dog"}, "label", id="one object with two labels"),
        pytest.param({"object_id": 2, "video_uri": "b.mp4"}, "video_uri", id="one video at two places"),
    ],
)
def test_rows_must_agree(second, column, check):
    first = BOX | {"label": "cat"}

    with pytest.raises(ManifestError, match=rf"row 1, column {column}: .*row 0"):
        check(first, first | second)


def test_a_video_may_be_named_in_two_ways(check, clip):
    [video] = check(BOX, BOX | {"frame_index": 1, "video_uri": f"{clip.parent}/./{clip.name}"})

    assert video.video_uri == str(clip)


def test_a_row_without_a_label_has_that_of_its_objects_other_rows(check):
    [video] = check(
        BOX | {"label": None},
        BOX | {"label": "cat", "frame_index": 1},
        POINT | {"label": None, "frame_index": 2, "kind": "correction"},
        BOX | {"object_id": 2},
    )

    assert [prompt.label for prompt in video.prompts] == ["cat", "cat", "cat", None]


def test_all_faults_come_at_once_in_the_order_of_rows(check):
    with pytest.raises(ManifestError) as caught:
        check(
            {"object_id": -1} | BOX,
            {"frame_index": 99, "box_xyxy": [0, 0, 99, 9]},
            {"video_id": "b", "video_uri": "none.mp4"},
        )

    first, *lines = str(caught.value).splitlines()
    assert first.startswith("5 faults")
    assert [re.search(r"row (\d), column (\w+)", line).groups() for line in lines] == [
        ("0", "object_id"),
        ("1", "box_xyxy"),
        ("1", "frame_index"),
        ("2", "points_xy"),
        ("2", "video_uri"),
    ]


def test_more_faults_than_wanted_are_counted(check):
    with pytest.raises(ManifestError, match=r"^30 faults(.*\n){11}\.\.\. and 20 more$"):
        check(*({"object_id": -n, "frame_index": 0} | BOX for n in range(1, 31)), max_faults_shown=10)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("object_id", pa.int64()),
        ("object_id", pa.uint8()),
        ("frame_index", pa.int32()),
        ("time_seconds", pa.float32()),
        ("points_xy", pa.list_(pa.list_(pa.float64()))),
        ("points_xy", pa.large_list(pa.list_(pa.int64(), 2))),
        ("point_labels", pa.list_(pa.int64())),
        ("box_xyxy", pa.list_(pa.float64())),
        ("box_xyxy", pa.list_(pa.int32(), 4)),
        ("label", pa.large_string()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("video_id", pa.large_string()),
        ("mask_rle", pa.struct({"counts": pa.string(), "size": pa.list_(pa.int64())})),
        ("label", pa.null()),
    ],
)
def test_other_widths_of_a_type_are_as_good(column, kind, check):
    index = schemas.MANIFEST.get_field_index(column)
    row = (POINT if column.startswith("point") else BOX) | {"time_seconds": None}
    if column == "mask_rle":
        row = {"mask_rle": {"counts": FULL_MASK["counts"].decode(), "size": [48, 64]}}
    schema = schemas.MANIFEST.set(index, pa.field(column, kind))

    [video] = check(row, schema=schema)

    assert video == check(row | ({"mask_rle": FULL_MASK} if column == "mask_rle" else {}))[0]


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("object_id", pa.string(), "1"),
        ("object_id", pa.float64(), 1.0),
        ("video_id", pa.int64(), 7),
        ("box_xyxy", pa.string(), "[1, 2, 3, 4]"),
        ("label", pa.bool_(), True),
    ],
)
def test_a_wrong_type_is_a_fault_of_the_file(column, kind, value, check):
    index = schemas.MANIFEST.get_field_index(column)

    with pytest.raises(ManifestError, match=rf"m\.parquet, column {column}: found {re.escape(str(kind))}"):
        check({column: value}, schema=schemas.MANIFEST.set(index, pa.field(column, kind)))


def test_optional_columns_may_be_left_out_and_others_not(tmp_path, clip):
    row = {"video_id": "a", "video_uri": str(clip), "object_id": 1, "frame_index": 0} | BOX
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "good.parquet")
    pq.write_table(pa.Table.from_pylist([{"object_id": 1, "colour": "red"}]), tmp_path / "bad.parquet")

    assert len(load_manifest(str(tmp_path / "good.parquet"), ManifestConfig(), SourceConfig())) == 1
    with pytest.raises(ManifestError) as caught:
        load_manifest(str(tmp_path / "bad.parquet"), ManifestConfig(), SourceConfig())
    assert [
        line.partition("column ")[2].partition(":")[0] for line in str(caught.value).splitlines()[1:]
    ] == [
        "colour",
        "video_id",
        "video_uri",
    ]


def test_a_folder_of_files_is_one_manifest(tmp_path, clip):
    row = {"video_id": "a", "video_uri": "../clip.mp4", "object_id": 1, "frame_index": 0} | BOX
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "m").mkdir()
    for number in (1, 2):
        table = pa.Table.from_pylist([row | {"object_id": number}])
        pq.write_table(table, tmp_path / "m" / f"{number}.parquet")
    (tmp_path / "m" / "_common.parquet").write_bytes(b"not read")

    [video] = load_manifest(str(tmp_path / "m"), ManifestConfig(), SourceConfig())

    assert [prompt.object_id for prompt in video.prompts] == [1, 2]
    assert video.video_uri == str(tmp_path / "clip.mp4")


def test_a_remote_manifest_finds_its_videos_beside_it(clip):
    row = {"video_id": "a", "video_uri": "clips/a.mp4", "object_id": 1, "frame_index": 0} | BOX
    with fsspec.open("memory://beside/clips/a.mp4", "wb") as file:
        file.write(clip.read_bytes())
    with fsspec.open("memory://beside/m.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pylist([row]), file)

    [video] = load_manifest("memory://beside/m.parquet", ManifestConfig(), SourceConfig())

    assert video.video_uri == "memory://beside/clips/a.mp4"
    assert video.facts == FACTS


def test_unreadable_videos_can_be_kept_for_the_run(check, clip, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes())
    cut_short(broken, 0.5)

    videos = check(
        BOX,
        BOX | {"video_id": "b", "video_uri": "broken.mp4"},
        BOX | {"video_id": "c", "video_uri": "none.mp4"},
        unreadable_videos=UnreadableVideos.keep,
    )

    assert [video.facts for video in videos] == [FACTS, None, None]


@pytest.mark.parametrize("data", [b"", b"no parquet"])
def test_another_kind_of_file_is_a_fault(data, tmp_path):
    (tmp_path / "m.parquet").write_bytes(data)

    with pytest.raises(ManifestError, match=r"m\.parquet.*a Parquet file"):
        load_manifest(str(tmp_path / "m.parquet"), ManifestConfig(), SourceConfig())


def test_no_manifest_and_no_rows(tmp_path, check):
    with pytest.raises(InputMissing, match="none"):
        load_manifest(str(tmp_path / "none.parquet"), ManifestConfig(), SourceConfig())
    with pytest.raises(ManifestError, match="no rows"):
        check()


def test_objects_of_a_video_are_limited(check):
    rows = [BOX | {"object_id": i} for i in range(1, 5)]
    assert len(check(*rows, max_objects=4)) == 1
    with pytest.raises(ManifestError, match="row 3, column object_id: found more than 3 objects of a video"):
        check(*rows, max_objects=3)


def test_a_correction_comes_after_a_keyframe_of_its_object(check):
    correction = BOX | {"kind": "correction"}
    check(BOX | {"frame_index": 2}, correction | {"frame_index": 3})
    check(BOX | {"frame_index": 2}, correction | {"frame_index": None, "time_seconds": 0.5})
    for frame_index in (1, 2):
        with pytest.raises(ManifestError, match="a keyframe of this object on an earlier frame"):
            check(BOX | {"frame_index": 2}, correction | {"frame_index": frame_index})


@pytest.mark.parametrize(
    ("keyframes", "directions", "named"),
    [
        ([], (Direction.FORWARD,), "none; allowed: .* an earlier frame, where tracking.direction=forward"),
        ([4, 6], (Direction.FORWARD,), "frame 4, frame 6; allowed: .* an earlier frame, .*=forward"),
        ([1], (Direction.BACKWARD,), "frame 1; allowed: .* a later frame, .*=backward"),
        ([3], tuple(Direction), "frame 3; allowed: .* an earlier or a later frame, .*=both"),
    ],
)
def test_a_correction_of_what_is_not_tracked_names_object_frames_and_direction(
    check, keyframes, directions, named
):
    rows = [BOX | {"frame_index": t} for t in keyframes]
    with pytest.raises(ManifestError, match=f"'correction' of object 1 at frame 3; its keyframes: {named}"):
        check(*rows, BOX | {"frame_index": 3, "kind": "correction"}, directions=directions)
