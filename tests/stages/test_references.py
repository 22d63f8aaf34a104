"""An object that another video shows is sought from the first frame on, without waiting for that video."""

import json
from dataclasses import replace

import pytest

from pipeline.errors import InputChanged, PromptInvalid
from pipeline.inputs.source import SourceConfig, source_identity
from pipeline.records import Prompt, Shard
from pipeline.stages.references import References, before_the_video
from pipeline.work.fingerprints import UNREADABLE, source_text
from tests.clips import DISC_BOX, moving_shapes, write_video
from tests.engine.scenes import scene
from tests.stages.segmenting import FRAMES, Cut, segment


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The same scene, later."""
    path = tmp_path_factory.mktemp("elsewhere") / "later.mp4"
    return str(write_video(path, list(moving_shapes(24))[6:]))


def seen_on(frame_index, video_uri):
    x0, y0, x1, y1 = DISC_BOX
    box = (x0 + 6 + frame_index, y0, x1 + 6 + frame_index, y1)
    return Prompt(1, frame_index, box_xyxy=box, video_uri=video_uri)


@pytest.fixture(scope="module")
def referring(shard, elsewhere):
    by_time = replace(seen_on(9, elsewhere), frame_index=None, time_seconds=9.5 / 25)
    prompts = (seen_on(3, elsewhere), by_time)
    return Shard("here", "here", shard.video_uri, prompts, FRAMES, {"prompts": "x"})


REFERENCE = "reference.0"  # its name in fingerprints


@pytest.fixture(scope="module")
def found(referring, tmp_path_factory):
    return segment(referring, tmp_path_factory.mktemp("found"))[1]


def test_the_object_is_found_from_the_first_frame_on(found):
    rows = found.to_pylist()
    assert [r["frame_index"] for r in rows] == list(range(FRAMES))
    assert not any(r["prompted"] for r in rows)
    assert rows[0]["box_xyxy"] == pytest.approx(DISC_BOX, abs=6)


def test_stopping_and_resuming_changes_no_mask(referring, found, tmp_path):
    def cut(frames):
        if frames == 25:
            raise Cut

    with pytest.raises(Cut):
        segment(referring, tmp_path, cut)
    report, table = segment(referring, tmp_path)
    assert table.equals(found)
    assert report.frames_computed == FRAMES - 20


def test_key_frames_of_the_video_itself_go_with_them(referring, found, tmp_path):
    x0, y0, x1, y1 = DISC_BOX
    own = Prompt(1, 20, box_xyxy=(x0 + 20, y0, x1 + 20, y1))
    _, table = segment(replace(referring, prompts=(*referring.prompts, own)), tmp_path)
    assert table.num_rows == FRAMES
    assert [r["frame_index"] for r in table.to_pylist() if r["prompted"]] == [20]
    assert not table.equals(found)


def test_a_reference_past_the_end_of_its_video_is_refused(referring, elsewhere, tmp_path):
    late = replace(referring, prompts=(seen_on(18, elsewhere),))
    with pytest.raises(PromptInvalid, match=r"prompt on frame 18 of .*later\.mp4"):
        segment(late, tmp_path)


def test_a_reference_that_is_another_video_than_planned_is_refused(referring, elsewhere, tmp_path):
    planned = {"prompts": "x", REFERENCE: json.dumps({"size_bytes": 1, "mark": ""})}
    with pytest.raises(InputChanged, match="later"):
        segment(replace(referring, fingerprint=planned), tmp_path)


def test_one_that_the_driver_could_not_read_is_committed_under_what_the_worker_saw(
    referring, elsewhere, tmp_path
):
    unseen = {"prompts": "x", "source": UNREADABLE, REFERENCE: UNREADABLE}
    segment(replace(referring, fingerprint=unseen), tmp_path)
    committed = json.loads((tmp_path / "_commit" / "here.json").read_text())["fingerprint"]
    seen = source_text(source_identity(elsewhere, SourceConfig()))
    assert committed[REFERENCE] == seen


class CountedVideo:
    """Stands for a video; counts how often it is read."""

    def __init__(self, video):
        self.video, self.read = video, 0

    def times(self):
        yield from (t / 25 for t in range(30))

    def at(self, indices):
        self.read += 1
        return iter(self.video[t] for t in sorted(indices))


def test_what_several_videos_share_is_computed_once():
    looked_at = []
    references = References(lambda frame, prompt: looked_at.append(frame.index) or frame)
    video = CountedVideo(scene(6, 64))
    prompts = [seen_on(3, "b.mp4"), seen_on(5, "b.mp4")]
    first = references.of_video("size 1", video, prompts)
    assert references.of_video("size 1", video, prompts[:1]) == {prompts[0]: first[prompts[0]]}
    assert (video.read, looked_at) == (1, [3, 5])
    references.of_video("size 2", video, prompts)
    assert (video.read, looked_at) == (2, [3, 5, 3, 5])


def test_a_time_is_one_of_the_other_video(shard, tmp_path):
    """The two have other frame rates, so its frame on the video itself would be another one."""
    slow = str(write_video(tmp_path / "slow.mp4", list(moving_shapes(12)), frames_per_second=5))
    by_frame = seen_on(8, slow)
    by_time = replace(by_frame, frame_index=None, time_seconds=8.5 / 5)
    tables = [
        segment(replace(shard, prompts=(prompt,), fingerprint={}), tmp_path / str(n))[1]
        for n, prompt in enumerate([by_frame, by_time])
    ]
    assert tables[0].equals(tables[1])


def test_each_object_has_its_last_reference_just_before_the_video():
    a, b, c = seen_on(1, "b.mp4"), seen_on(2, "b.mp4"), replace(seen_on(3, "b.mp4"), object_id=2)
    assert before_the_video([a, b, c]) == [(-2, a), (-1, b), (-1, c)]
