"""On which frames a detector's boxes become prompts: tables with one line a rule."""

import pytest

from pipeline.inputs.detection import Detection
from pipeline.inputs.prompt_policy import PromptPolicy, corrections, key_frames

BOX = (10.0, 10.0, 30.0, 40.0)
FAR = (60.0, 10.0, 80.0, 40.0)


def seen(frames, score=0.8, box=BOX, **scores):
    """Return detections on these frames; `f5=0.9` gives frame 5 another score."""
    return [Detection(t, box, scores.get(f"f{t}", score)) for t in frames]


def prompted(tracklets, **policy):
    return [(p.object_id, p.frame_index) for p in key_frames(tracklets, PromptPolicy(**policy))]


@pytest.mark.parametrize(
    ("tracklets", "policy", "expected"),
    [
        pytest.param({1: seen(range(30))}, {}, [(1, 0)], id="once, on the first of equals"),
        pytest.param({1: seen(range(30), f4=0.9, f20=1.0)}, {}, [(1, 4)], id="the best of the first ten"),
        pytest.param(
            {1: seen(range(30))}, {"every_frames": 12}, [(1, 0), (1, 12), (1, 24)], id="every so often"
        ),
        pytest.param(
            {1: [*seen(range(5)), *seen(range(40, 50))]}, {}, [(1, 0), (1, 40)], id="picked up after a gap"
        ),
        pytest.param({1: [*seen(range(5)), *seen(range(9, 20))]}, {}, [(1, 0)], id="a short gap is none"),
        pytest.param(
            {1: seen(range(9)), 2: seen(range(3))}, {}, [(1, 3), (2, 0)], id="not where another covers it"
        ),
        pytest.param(
            {1: seen(range(9)), 2: seen(range(9), box=FAR)},
            {},
            [(1, 0), (2, 0)],
            id="another elsewhere is none",
        ),
        pytest.param(
            {1: seen(range(30)), 2: seen(range(8, 14))},
            {"every_frames": 10},
            [(1, 0), (1, 14), (1, 24), (2, 8)],
            id="as soon as it is clear again",
        ),
    ],
)
def test_prompts_are_where_a_box_is_good(tracklets, policy, expected):
    assert prompted(tracklets, **policy) == expected


MASKED = dict.fromkeys(range(30), BOX)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        pytest.param(MASKED, [], id="they agree"),
        pytest.param(MASKED | dict.fromkeys(range(12, 30), FAR), [12], id="the mask went elsewhere"),
        pytest.param(MASKED | dict.fromkeys(range(12, 30)), [12], id="it is empty"),
        pytest.param(MASKED | dict.fromkeys(range(12, 16), FAR), [], id="not for long"),
        pytest.param(
            MASKED | dict.fromkeys(range(5, 10)) | dict.fromkeys(range(20, 30)), [5, 20], id="twice"
        ),
        pytest.param({}, [], id="the run does not know it"),
    ],
)
def test_corrections_are_where_masks_and_boxes_part(masks, expected):
    found = corrections({1: seen(range(30))}, {1: masks}, PromptPolicy())
    assert [p.frame_index for p in found] == expected
    assert all(p.is_correction and p.box_xyxy == BOX for p in found)
