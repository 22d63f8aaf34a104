"""After a cut an object is sought by its prompts alone; the scene before it is not looked at."""

from dataclasses import replace

import pytest

from pipeline.engine.config import TrackingConfig
from pipeline.records import Prompt
from tests.clips import DISC_BOX, moving_shapes, write_video
from tests.stages.segmenting import CONFIG, FRAMES, Cut, segment

CUT = 15
RESTARTED = replace(CONFIG, tracking=TrackingConfig(restart_at_cuts=True))


@pytest.fixture(scope="module")
def cut_shard(shard, tmp_path_factory):
    """Shapes, and from frame 15 on the same shapes from the start, after a cut to other colours."""
    shapes = list(moving_shapes(FRAMES))
    images = [*shapes[:CUT], *(255 - image for image in shapes[CUT : CUT + 4]), *shapes[: FRAMES - CUT - 4]]
    path = write_video(tmp_path_factory.mktemp("cut") / "cut.mp4", images)
    return replace(shard, video_uri=str(path), prompts=(Prompt(1, 0, box_xyxy=tuple(DISC_BOX)),))


@pytest.fixture(scope="module")
def restarted(cut_shard, tmp_path_factory):
    return segment(cut_shard, tmp_path_factory.mktemp("restarted"), config=RESTARTED)[1]


def rows_before(table, stop):
    return [row for row in table.to_pylist() if row["frame_index"] < stop]


def test_nothing_changes_before_the_cut_and_much_after_it(cut_shard, restarted, tmp_path):
    _, official = segment(cut_shard, tmp_path)
    assert rows_before(restarted, CUT) == rows_before(official, CUT)
    assert restarted["rle"].to_pylist()[CUT:] != official["rle"].to_pylist()[CUT:]


def test_back_in_the_first_scene_the_object_is_found_as_on_its_first_tracked_frame(restarted):
    rows = restarted.to_pylist()
    assert rows[CUT + 5]["box_xyxy"] == pytest.approx(rows[1]["box_xyxy"], abs=3)


@pytest.mark.parametrize("stop_at", [10, 12, 20])
def test_stopping_around_a_cut_and_resuming_changes_no_mask(cut_shard, restarted, tmp_path, stop_at):
    def cut(frames):
        if frames == stop_at:
            raise Cut

    config = replace(RESTARTED, checkpoint=replace(RESTARTED.checkpoint, every_frames=5))
    with pytest.raises(Cut):
        segment(cut_shard, tmp_path, cut, config)
    assert segment(cut_shard, tmp_path, config=config)[1].equals(restarted)
