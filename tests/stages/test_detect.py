"""Which videos are looked at, and what is written of them."""

import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputMissing, UsageError
from pipeline.inputs.detectors import DetectorConfig
from pipeline.inputs.source import SourceConfig
from pipeline.schemas import DETECTIONS
from pipeline.stages.detect import Detected, detect, videos_of
from tests.clips import moving_shapes, write_video


def whole_frame():
    return lambda image: (np.array([[0.0, 0.0, *image.shape[1::-1]]]), np.array([0.5]), ["frame"])


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name in ("b.mp4", "a.mp4", "a.mkv"):
        write_video(folder / name, moving_shapes(7))
    return folder


def test_videos_are_called_by_their_files(clips):
    assert videos_of([f"{clips}/*.mp4"]) == {"a": str(clips / "a.mp4"), "b": str(clips / "b.mp4")}
    assert videos_of(["s3://bucket/c.mp4"]) == {"c": "s3://bucket/c.mp4"}


def test_names_that_do_not_tell_videos_apart_and_patterns_that_find_none_are_refused(clips):
    with pytest.raises(UsageError, match=r"several are called \['a'\]"):
        videos_of([f"{clips}/a.*"])
    with pytest.raises(InputMissing, match="there is no such file"):
        videos_of([f"{clips}/*.avi"])


def test_every_frame_that_is_looked_at_is_written(clips, tmp_path):
    told = []
    config = DetectorConfig(f"{__name__}:whole_frame", every_frames=3)

    detect(videos_of([f"{clips}/*.mp4"]), tmp_path / "boxes.parquet", config, SourceConfig(), told.append)

    table = pq.read_table(tmp_path / "boxes.parquet")
    assert told == [Detected("a", 3, 3), Detected("b", 3, 3)]
    assert (table.schema.names, table.schema.metadata) == (DETECTIONS.names, DETECTIONS.metadata)
    assert table["frame_index"].to_pylist() == [0, 3, 6] * 2
    assert table.to_pylist()[0] == {
        "video_id": "a",
        "video_uri": os.path.relpath(clips / "a.mp4", tmp_path),
        "frame_index": 0,
        "box_xyxy": [0.0, 0.0, 160.0, 96.0],
        "score": 0.5,
        "label": "frame",
    }
