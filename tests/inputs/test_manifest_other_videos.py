"""Prompts on other videos, and corrections on either side of a key frame: what of them fits."""

import pytest

from pipeline.errors import ManifestError
from pipeline.records import Direction
from tests.inputs.clips import write_clip
from tests.inputs.test_manifest import BOX, FACTS


@pytest.mark.parametrize(
    ("frame_index", "forward", "backward", "both"),
    [
        pytest.param(3, False, True, True, id="before both keyframes"),
        pytest.param(5, False, False, False, id="on the first"),
        pytest.param(7, True, False, True, id="between them"),
        pytest.param(12, True, False, True, id="after both"),
    ],
)
def test_a_correction_is_on_the_side_that_its_object_is_tracked_to(
    check, frame_index, forward, backward, both
):
    rows = [BOX | {"frame_index": 5}, BOX | {"frame_index": 9}]
    rows.append(BOX | {"frame_index": frame_index, "kind": "correction"})
    ways = {(Direction.FORWARD,): forward, (Direction.BACKWARD,): backward, tuple(Direction): both}
    for directions, allowed in ways.items():
        if allowed:
            check(*rows, directions=directions)
        else:
            with pytest.raises(ManifestError, match="row 2, column"):
                check(*rows, directions=directions)


@pytest.fixture
def other(tmp_path):
    """A video of 6 frames, 128x96 pixels, beside the manifest."""
    return write_clip(tmp_path / "other.mp4", frames=6, size_hw=(96, 128))


SEEN = {"prompt_video_uri": "other.mp4", "box_xyxy": [1, 2, 100, 90], "frame_index": 5}


def test_a_prompt_on_another_video_is_checked_against_that_one(check, other, clip):
    [video] = check(SEEN, BOX | {"frame_index": 12})
    assert (video.video_uri, video.facts) == (str(clip), FACTS)
    assert [prompt.video_uri for prompt in video.prompts] == [str(other), None]


def test_a_prompt_on_the_video_itself_is_no_reference(check, clip):
    [video] = check(BOX | {"prompt_video_uri": str(clip)})
    assert video.prompts[0].video_uri is None


@pytest.mark.parametrize(
    ("change", "column", "found"),
    [
        pytest.param({"frame_index": 6}, "frame_index", "6", id="past the end of the other video"),
        pytest.param(
            {"box_xyxy": [1, 2, 129, 90]}, "box_xyxy", "129", id="outside of the other video's frame"
        ),
        pytest.param({"prompt_video_uri": ""}, "prompt_video_uri", "nothing", id="no name"),
        pytest.param({"kind": "correction"}, "kind", "correction", id="a correction"),
    ],
)
def test_what_does_not_fit_the_other_video_is_a_fault(check, other, change, column, found):
    with pytest.raises(ManifestError, match=rf"row 1, column {column}: found .*{found}"):
        check(BOX, SEEN | change)


def test_going_backward_only_another_video_is_of_no_use(check, other):
    with pytest.raises(ManifestError, match="column prompt_video_uri: .*backward"):
        check(SEEN, directions=(Direction.BACKWARD,))
