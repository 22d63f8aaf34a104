"""Forward, backward, or both: each frame once, the same after any stop."""

from dataclasses import replace

import pytest

from pipeline.engine.config import Directions, TrackingConfig
from pipeline.errors import PromptInvalid, Stopped
from pipeline.outputs.checkpoints import last_stored_frame
from pipeline.records import Direction, Prompt
from pipeline.stages.summary import write_videos
from pipeline.storage.local_store import LocalStore
from pipeline.work.fingerprints import digest_of
from pipeline.work.run_folder import RunFolder
from pipeline.work.shards import in_directions
from tests.clips import DISC_BOX
from tests.stages.segmenting import CONFIG, EVERY, FRAMES, Cut, segment

# Where the shapes are on these frames: the disc moves right by a pixel a frame, the square left.
DISC = Prompt(1, 22, box_xyxy=(DISC_BOX[0] + 22, DISC_BOX[1], DISC_BOX[2] + 22, DISC_BOX[3]))
SQUARE = Prompt(5, 30, points_xy=((90.0, 62.0),), point_labels=(1,))


def config_of(directions):
    return replace(CONFIG, tracking=TrackingConfig(direction=directions))


@pytest.fixture(scope="module")
def late(shard):
    """A shard whose objects are prompted late in the video."""
    return replace(shard, prompts=(DISC, SQUARE))


@pytest.fixture(scope="module")
def backward(late):
    (only,) = in_directions(late, Directions.backward.each)
    return only


@pytest.fixture(scope="module")
def passed_back(backward, tmp_path_factory):
    return segment(backward, tmp_path_factory.mktemp("backward"), config=config_of(Directions.backward))


def keys(*tables):
    return sorted((r["object_id"], r["frame_index"]) for table in tables for r in table.to_pylist())


def test_backward_every_object_has_a_row_from_its_first_prompt_down_to_the_first_frame(passed_back):
    report, table = passed_back
    assert keys(table) == sorted([(1, t) for t in range(23)] + [(5, t) for t in range(31)])
    assert [(r["object_id"], r["frame_index"]) for r in table.to_pylist() if r["prompted"]] == [
        (1, 22),
        (5, 30),
    ]
    order = [(r["frame_index"], r["object_id"]) for r in table.to_pylist()]
    assert order == sorted(order)
    assert report.frames == 31


def test_backward_the_objects_are_found_where_they_were(passed_back):
    _, table = passed_back
    first = {r["object_id"]: r["box_xyxy"] for r in table.to_pylist() if r["frame_index"] == 0}
    assert first[1] == pytest.approx(DISC_BOX, abs=6)


def test_both_directions_give_each_row_once(late, passed_back, tmp_path):
    config = config_of(Directions.both)
    shards = in_directions(late, Directions.both.each)
    tables = [segment(shard, tmp_path, config=config)[1] for shard in shards]
    assert keys(*tables) == sorted((i, t) for i in (1, 5) for t in range(FRAMES))
    alone = {(r["object_id"], r["frame_index"]): r for r in passed_back[1].to_pylist()}
    for row in tables[1].to_pylist():
        assert row == alone[row["object_id"], row["frame_index"]]
    (video,) = write_videos(RunFolder.of(str(tmp_path)), shards).to_pylist()
    assert (video["frames"], video["shards"], video["status"]) == (FRAMES, 2, "done")
    assert video["objects"] == 2


@pytest.mark.parametrize("stop_at", [1, 10, 17, 31])
def test_stopping_on_the_way_back_and_resuming_changes_no_mask(backward, passed_back, tmp_path, stop_at):
    def cut(frames):
        if frames == stop_at:
            raise Cut

    config = config_of(Directions.backward)
    with pytest.raises(Cut):
        segment(backward, tmp_path, cut, config)
    stored = last_stored_frame(LocalStore(tmp_path), f"_work/{backward.id}", digest_of(backward.fingerprint))
    report, table = segment(backward, tmp_path, config=config)
    assert table.equals(passed_back[1])
    assert stored == (None if stop_at < EVERY else 31 - stop_at // EVERY * EVERY)
    assert report.frames_computed == 31 - stop_at // EVERY * EVERY


def test_stopped_while_frames_go_to_disk_what_was_tracked_stays(backward, passed_back, tmp_path):
    config = config_of(Directions.backward)
    config = replace(config, frames=replace(config.frames, backward_bytes=7 * 256 * 256 * 3, queue_bytes=1))
    tracked = []

    def stop_between_frames(frames):
        if frames is None and tracked and tracked[-1] >= EVERY + 3:
            raise Stopped
        if frames is not None:
            tracked.append(frames)

    with pytest.raises(Stopped):
        segment(backward, tmp_path, stop_between_frames, config=config)
    report, table = segment(backward, tmp_path, config=config)
    assert table.equals(passed_back[1])
    assert report.frames_computed == report.frames - tracked[-1]


def test_a_correction_on_the_way_back_holds_from_there_on(backward, passed_back, tmp_path):
    mended = Prompt(1, 12, points_xy=((43.0, 39.0),), point_labels=(1,), is_correction=True)
    corrected = replace(backward, prompts=(*backward.prompts, mended))
    _, table = segment(corrected, tmp_path, config=config_of(Directions.backward))
    before = {(r["object_id"], r["frame_index"]): r for r in passed_back[1].to_pylist()}
    changed = {
        key
        for key, row in zip(keys(table), sorted(table.to_pylist(), key=order), strict=True)
        if row != before[key]
    }
    assert (1, 12) in changed
    assert all(object_id == 1 and t <= 12 for object_id, t in changed)


def order(row):
    return row["object_id"], row["frame_index"]


def test_a_correction_on_the_wrong_side_is_refused(backward, tmp_path):
    wrong = Prompt(1, 25, points_xy=((43.0, 39.0),), point_labels=(1,), is_correction=True)
    with pytest.raises(PromptInvalid, match="frame 25, after its first keyframe"):
        segment(
            replace(backward, prompts=(*backward.prompts, wrong)),
            tmp_path,
            config=config_of(Directions.backward),
        )


def test_little_disk_changes_nothing_of_the_way_back(backward, passed_back, tmp_path):
    config = config_of(Directions.backward)
    config = replace(config, frames=replace(config.frames, backward_bytes=7 * 256 * 256 * 3))
    assert segment(backward, tmp_path, config=config)[1].equals(passed_back[1])


def test_a_shard_goes_once_each_way_but_not_back_from_the_first_frame(shard):
    forward, back = in_directions(shard, Directions.both.each)
    assert (forward.id, back.id) == ("shapes", "shapes~backward")
    assert (forward.direction, back.direction) == (Direction.FORWARD, Direction.BACKWARD)
    assert (forward.object_ids, back.object_ids) == ((1, 5), (5,))  # object 1 is prompted on frame 0
