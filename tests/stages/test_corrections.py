"""A correction changes nothing before its frame, holds from there on, and survives any stop."""

from dataclasses import replace

import pytest

from pipeline.errors import PromptInvalid
from pipeline.outputs.checkpoints import CheckpointConfig
from pipeline.records import Prompt
from pipeline.stages.revision import keep_unchanged
from pipeline.work.commits import OnChange, finished
from pipeline.work.fingerprints import fingerprint
from pipeline.work.run_folder import RunFolder
from tests.clips import DISC_BOX
from tests.stages.segmenting import CONFIG, EVERY, FRAMES, Cut, segment

# The disc moves right by a pixel a frame; here the box is the disc's, at that time.
CORRECTION = Prompt(1, 20, points_xy=((51.0, 39.0), (100.0, 62.0)), point_labels=(1, 0), is_correction=True)
BY_TIME = replace(CORRECTION, frame_index=None, time_seconds=20.5 / 25)
BOX = Prompt(1, 27, box_xyxy=(45.0, *DISC_BOX[1:2], 71.0, DISC_BOX[3]), is_correction=True)


def with_prompts(shard, *prompts):
    return replace(shard, prompts=(*shard.prompts, *prompts))


@pytest.fixture(scope="module")
def corrected(shard, tmp_path_factory):
    return segment(with_prompts(shard, CORRECTION, BOX), tmp_path_factory.mktemp("corrected"))[1]


def rows_of(table, object_id, frames):
    return [r for r in table.to_pylist() if r["object_id"] == object_id and r["frame_index"] in frames]


def test_a_correction_holds_from_its_frame_on_and_for_its_object_alone(undisturbed, corrected):
    assert rows_of(corrected, 1, range(20)) == rows_of(undisturbed, 1, range(20))
    assert rows_of(corrected, 5, range(FRAMES)) == rows_of(undisturbed, 5, range(FRAMES))
    after = range(20, FRAMES)
    assert rows_of(corrected, 1, after) != rows_of(undisturbed, 1, after)
    assert [r["frame_index"] for r in corrected.to_pylist() if r["prompted"]] == [0, 4, 20, 27]


@pytest.mark.parametrize("stop", [15, 21, 25])
def test_stopped_before_or_after_a_correction_it_goes_on_the_same(shard, corrected, tmp_path, stop):
    shard = with_prompts(shard, BY_TIME, BOX)

    def cut(frames):
        if frames == stop:
            raise Cut

    with pytest.raises(Cut):
        segment(shard, tmp_path, cut)
    report, table = segment(shard, tmp_path)
    assert table.equals(corrected)
    assert report.frames_computed == FRAMES - stop // 10 * 10


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        pytest.param(replace(CORRECTION, frame_index=FRAMES), "the video has 37 frames", id="past the end"),
        pytest.param(replace(CORRECTION, object_id=9), "before its first keyframe", id="no such object"),
        pytest.param(replace(CORRECTION, object_id=5, frame_index=2), "before its first", id="too early"),
        pytest.param(replace(CORRECTION, frame_index=0), "two prompts on frame 0", id="on its keyframe"),
        pytest.param(
            replace(CORRECTION, frame_index=None, time_seconds=0.0),
            "two prompts",
            id="by time",
        ),
    ],
)
def test_what_cannot_be_corrected_is_refused(shard, tmp_path, prompt, message):
    with pytest.raises(PromptInvalid, match=message):
        segment(with_prompts(shard, prompt), tmp_path)


def revised(shard, folder, *prompts):
    """Run a shard anew with these corrections, as a driver with on_change=rerun does."""
    now = fingerprinted(shard, *prompts)
    run = RunFolder.of(str(folder))
    assert finished(run, [now], OnChange.rerun, keep_unchanged) == set()
    return segment(now, folder, config=KEEPING)


def fingerprinted(shard, *prompts):
    shard = with_prompts(shard, *prompts)
    known = fingerprint(shard.prompts, None, {}, "")
    return replace(shard, fingerprint={key: known[key] for key in known if key not in ("source", "weights")})


KEEPING = replace(CONFIG, checkpoint=CheckpointConfig(EVERY, keep_every_frames=EVERY))


@pytest.fixture
def run_without_corrections(shard, tmp_path):
    """A published run that has kept its states."""
    segment(fingerprinted(shard), tmp_path, config=KEEPING)
    return tmp_path


@pytest.mark.parametrize("by", [CORRECTION, BY_TIME], ids=["frame", "time"])
def test_new_corrections_cost_what_comes_after_them(shard, corrected, run_without_corrections, by):
    report, table = revised(shard, run_without_corrections, by, BOX)
    assert table.equals(corrected)
    assert report.frames_computed == FRAMES - 20


def test_revised_again_and_again_the_table_is_that_of_one_run(
    shard, corrected, undisturbed, run_without_corrections
):
    folder = run_without_corrections
    assert revised(shard, folder, CORRECTION)[0].frames_computed == FRAMES - 20
    report, table = revised(shard, folder, CORRECTION, BOX)
    assert (table.equals(corrected), report.frames_computed) == (True, FRAMES - 20)
    report, table = revised(shard, folder)
    assert (table.equals(undisturbed), report.frames_computed) == (True, FRAMES - 20)


def test_without_kept_states_or_with_other_keyframes_all_is_computed_again(shard, run_without_corrections):
    folder = run_without_corrections
    other = replace(shard, prompts=(shard.prompts[0],))
    assert revised(other, folder, CORRECTION)[0].frames_computed == FRAMES
    for state in folder.glob("_states/shapes/*"):
        state.unlink()
    assert revised(other, folder, BOX)[0].frames_computed == FRAMES


def test_a_damaged_state_is_passed_over(shard, corrected, run_without_corrections):
    (run_without_corrections / "_states/shapes/state-000000020.safetensors").write_bytes(b"damaged")
    report, table = revised(shard, run_without_corrections, CORRECTION, BOX)
    assert (table.equals(corrected), report.frames_computed) == (True, FRAMES - 10)
