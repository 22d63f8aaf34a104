"""The shard that the tests of the stage segment, and its masks."""

import pytest

from pipeline.records import Shard
from tests.clips import moving_shapes, write_video
from tests.stages.segmenting import DISC, FRAMES, SQUARE, segment


@pytest.fixture(scope="package")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "shapes.mp4", moving_shapes(FRAMES))


@pytest.fixture(scope="package")
def shard(video):
    return Shard("shapes", "shapes", str(video), (DISC, SQUARE), FRAMES, {"prompts": "x"})


@pytest.fixture(scope="package")
def undisturbed(shard, tmp_path_factory):
    return segment(shard, tmp_path_factory.mktemp("undisturbed"))[1]
