"""Detections of every format are the same detections; all that does not fit is named at once."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputMissing, ManifestError
from pipeline.inputs.detection_formats import DetectionFiles
from pipeline.inputs.manifest import ManifestConfig, UnreadableVideos
from pipeline.schemas import DETECTIONS
from tests.inputs.clips import cut_short, image_folder, write_clip
from tests.inputs.detection_files import (
    CAT,
    DOG,
    FORMATS,
    LATER_CAT,
    as_mot_challenge,
    as_parquet,
    faults_in,
    row_of,
    write_detections,
)


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_the_same_boxes_in_frame_order(write, load, clips, tmp_path):
    [video] = load(**write(tmp_path))

    assert (video.video_id, video.video_uri) == ("a", str(clips / "a.mp4"))
    for found, expected in zip(video.detections, (CAT, DOG, LATER_CAT), strict=True):
        assert found.box_xyxy == pytest.approx(expected.box_xyxy)
        label = None if "mot" in write.__name__ else expected.label
        assert (found.frame_index, found.score, found.label) == (expected.frame_index, expected.score, label)


def test_a_column_says_where_videos_are_seen_from_the_file(load, clips, tmp_path):
    (tmp_path / "here.mp4").symlink_to(clips / "a.mp4")
    path = write_detections(tmp_path / "d.parquet", [row_of(CAT, video_uri="here.mp4")])

    [video] = load(path, videos=None)

    assert video.video_uri == str(tmp_path / "here.mp4")


def test_a_box_that_goes_beyond_the_frame_is_cut_at_its_edge(load, tmp_path):
    path = write_detections(tmp_path / "d.parquet", [row_of(replace(CAT, box_xyxy=(-5, 90, 30, 120)))])

    [video] = load(path)

    assert video.detections[0].box_xyxy == (0, 90, 30, 100)


@pytest.mark.parametrize(
    ("row", "column", "found"),
    [
        pytest.param({"video_id": "b"}, "video_id", "b: ", id="a video that is not there"),
        pytest.param({"video_id": ""}, "video_id", "nothing", id="no video"),
        pytest.param({"frame_index": 20}, "frame_index", "20; allowed: 0 to 19", id="past the end"),
        pytest.param({"frame_index": -1}, "frame_index", "-1; allowed: 0 or more", id="a negative frame"),
        pytest.param({"box_xyxy": [5, 5, 5, 9]}, "box_xyxy", "x0 < x1", id="no area"),
        pytest.param({"box_xyxy": [250, 5, 260, 9]}, "box_xyxy", "frame, 200x100", id="outside"),
        pytest.param({"box_xyxy": [1, 2, float("nan"), 4]}, "box_xyxy", "finite", id="no number"),
        pytest.param({"box_xyxy": None}, "box_xyxy", "None; allowed: .x0, y0", id="no box"),
        pytest.param({"score": 1.5}, "score", "1.5; allowed: 0 to 1", id="a score above 1"),
        pytest.param({"score": float("nan")}, "score", "nan", id="no score"),
    ],
)
def test_a_wrong_row_is_named_with_file_row_column_and_value(row, column, found, load, tmp_path):
    nullable = pa.schema([field.with_nullable(True) for field in DETECTIONS])
    rows = [row_of(DOG), row_of(CAT) | row]
    pq.write_table(pa.Table.from_pylist(rows, schema=nullable), tmp_path / "d.parquet")

    with pytest.raises(ManifestError, match=rf"d\.parquet, row 1, column {column}: found .*({found})"):
        load(tmp_path / "d.parquet")


def test_all_faults_of_all_rows_are_named_at_once(load, tmp_path):
    wrong = [
        {"score": 2, "frame_index": 99, "box_xyxy": [300, 1, 400, 2]},
        {"score": -1, "frame_index": -1, "box_xyxy": [9, 9, 1, 1]},
        {"video_id": "b", "score": 7},
        {"video_id": "", "box_xyxy": [1, 2, float("inf"), 4]},
    ]
    path = write_detections(tmp_path / "d.parquet", [row_of(CAT) | row for row in wrong])

    with pytest.raises(ManifestError) as error:
        load(path)

    assert str(error.value).startswith("10 faults")
    three = ("box_xyxy", "frame_index", "score")
    assert sorted(faults_in(error)) == [
        *(("0", column) for column in three),
        *(("1", column) for column in three),
        ("2", "score"),
        ("2", "video_id"),
        ("3", "box_xyxy"),
        ("3", "video_id"),
    ]


def test_a_folder_of_motchallenge_says_where_its_frames_are(load, tmp_path):
    sequence = as_mot_challenge(tmp_path)["uri"] + "/a"
    frames = image_folder(f"{sequence}/img1", 20, (100, 200))
    Path(sequence, "seqinfo.ini").write_text("[Sequence]\nname=a\nimDir=img1\nframeRate=30\n")

    for uri in (sequence, tmp_path / "train"):
        [video] = load(uri, "mot", videos=None)
        assert (video.video_id, video.video_uri, len(video.detections)) == ("a", str(frames), 3)


@pytest.mark.parametrize("about", ["imDir=img1", "[Sequence]\nname=a\n"])
def test_a_sequence_that_does_not_say_where_its_frames_are_is_a_fault(about, load, tmp_path):
    given = as_mot_challenge(tmp_path)
    (tmp_path / "train" / "a" / "seqinfo.ini").write_text(about)

    with pytest.raises(ManifestError, match=r"a/seqinfo\.ini, column imDir"):
        load(**given)


def test_one_video_is_in_one_place(load, clips, tmp_path):
    uris = [str(clips / "a.mp4"), "other.mp4"]
    path = write_detections(tmp_path / "d.parquet", [row_of(CAT, video_uri=uri) for uri in uris])

    with pytest.raises(ManifestError, match="1 fault .*\n.*row 1, column video_uri: found .*other.mp4"):
        load(path, videos=None)
    [video] = load(path)  # a pattern tells better

    assert (video.video_uri, len(video.detections)) == (uris[0], 2)


@pytest.mark.parametrize(
    ("format", "name", "text", "fault"),
    [
        ("mot", "a.txt", "1,2,three,4,5,6,0.7\n", "row 0, column (line): found 1,2,three"),
        ("mot", "a.txt", "\n1,-1,1,2,3\n", "row 1, column (line): found 1,-1,1,2,3"),
        ("mot", "a.txt", "1.5,-1,1,2,3,4,0.5\n", "row 0, column (line)"),
        ("mot", "a.txt", "0,-1,1,2,3,4,0.5\n", "column frame_index: found 0; allowed: 1 or more"),
        ("mot", "a.txt", "21,-1,1,2,3,4,0.5\n", "column frame_index: found 21; allowed: 1 to 20"),
        ("mot", "a.txt", "inf,-1,1,2,3,4,0.5\n", "row 0, column (line)"),
        ("mot", "a.txt", "", "no lines of mot"),
        ("yolo", "a/1.txt", "0 0.5 0.5\n", "row 0, column (line): found 0 0.5 0.5"),
        ("yolo", "a/1.txt", "0.5 0.5 0.5 0.1 0.1\n", "row 0, column (line)"),
        ("yolo", "a/1.txt", "0 0.5 0.5 0.1 0.1 0.9 7\n", "row 0, column (line)"),
        ("yolo", "a/1.txt", "inf 0.5 0.5 0.1 0.1\n", "row 0, column (line)"),
        ("yolo", "a/1.txt", "0 1.5 0.5 0.1 0.1\n", "inside the frame, 200x100"),
        ("yolo", "a/last.txt", "0 0.5 0.5 0.1 0.1\n", "column (name): found last.txt"),
        ("yolo", "7.txt", "0 0.5 0.5 0.1 0.1\n", "column (name): found 7.txt"),
    ],
)
def test_lines_that_cannot_be_read_are_faults(format, name, text, fault, load, tmp_path):
    file = tmp_path / "boxes" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)

    with pytest.raises(ManifestError) as error:
        load(tmp_path / "boxes", format)

    assert str(error.value).startswith("1 fault (")
    assert fault in str(error.value)


def test_a_class_without_a_name_is_a_fault(load, tmp_path):
    (tmp_path / "boxes" / "a").mkdir(parents=True)
    (tmp_path / "boxes" / "classes.txt").write_text("cat\n")
    (tmp_path / "boxes" / "a" / "0.txt").write_text("0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n")

    with pytest.raises(ManifestError, match=r"1 fault .*\n.*row 1, column class: found 1; allowed: below 1"):
        load(tmp_path / "boxes", "yolo")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[" * 200_000, "found no JSON"),
        ("no JSON", "found no JSON"),
        ("[]", "column images: found none; allowed: a list of images in it, or in images=FILE"),
        ('{"images": []}', "column annotations"),
        (
            '{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": [{"image_id": 1}]}',
            "a place in a video",
        ),
    ],
)
def test_wrong_json_is_a_fault(text, fault, load, tmp_path):
    (tmp_path / "d.json").write_text(text)

    with pytest.raises(ManifestError) as error:
        load(tmp_path / "d.json", "coco")

    assert fault in str(error.value)


def test_columns_and_files_that_are_not_there_are_named(load, tmp_path):
    pq.write_table(pa.Table.from_pylist([{"video_id": "a", "confidence": 1}]), tmp_path / "d.parquet")

    with pytest.raises(ManifestError) as error:
        load(tmp_path / "d.parquet")
    with pytest.raises(InputMissing):
        load(tmp_path / "none.parquet")

    assert "column frame_index: found no such column" in str(error.value)
    assert "column confidence: found an unknown column" in str(error.value)


def test_without_a_place_for_videos_each_row_says_so(load, tmp_path):
    with pytest.raises(ManifestError, match="3 faults .*\n.*row 0, column video_uri: found nothing"):
        load(**as_parquet(tmp_path), videos=None)
    with pytest.raises(ValueError, match=r"videos=clips: expected \* in it"):
        DetectionFiles(videos="clips")


def test_what_was_detected_in_videos_that_cannot_be_read_may_be_left_out(load, clips, tmp_path):
    (tmp_path / "a.mp4").symlink_to(clips / "a.mp4")
    cut_short(write_clip(tmp_path / "broken.mp4"), 0.2)
    path = write_detections(tmp_path / "d.parquet", [row_of(CAT, "broken"), row_of(CAT)])
    videos = f"{tmp_path}/*.mp4"

    kept = load(path, videos=videos, check=ManifestConfig(UnreadableVideos.keep))

    assert [video.video_id for video in kept] == ["a"]
    with pytest.raises(ManifestError, match="row 0, column video_id: found broken: .*broken.mp4"):
        load(path, videos=videos)
