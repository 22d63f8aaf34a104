"""On which frames a detector's boxes become prompts: a table with a line a rule."""

import pytest

from pipeline.inputs.detection import Detection
from pipeline.inputs.prompt_policy import PromptPolicy, key_frames
from pipeline.inputs.tracklets import Tracklet

BOX = (10.0, 10.0, 30.0, 40.0)
FAR = (60.0, 10.0, 80.0, 40.0)


def seen(frames, box=BOX, **scores):
    """Return detections on these frames; `f5=0.9` gives frame 5 another score than 0.8."""
    return [Detection(t, box, scores.get(f"f{t}", 0.8)) for t in frames]


@pytest.mark.parametrize(
    ("objects", "policy", "expected"),
    [
        pytest.param([seen(range(30))], {}, {1: [0]}, id="once, on the first of equals"),
        pytest.param([seen(range(30), f4=0.9, f20=1.0)], {}, {1: [4]}, id="on the best of the first ten"),
        pytest.param([seen(range(30), f0=0.3, f1=0.4)], {}, {1: [2]}, id="not where it is not sure"),
        pytest.param([seen(range(30))], {"min_score": 0.9}, {}, id="never, if never sure"),
        pytest.param([seen(range(30))], {"every_frames": 12}, {1: [0, 12, 24]}, id="every so often"),
        pytest.param(
            [seen(range(30), f12=0.3, f13=0.3)], {"every_frames": 12}, {1: [0, 14, 26]}, id="when sure again"
        ),
        pytest.param([seen([*range(5), *range(40, 50)])], {}, {1: [0, 40]}, id="after a gap"),
        pytest.param([seen([*range(5), *range(40, 50)], f40=0.2)], {}, {1: [0, 41]}, id="sure after a gap"),
        pytest.param([seen([*range(5), *range(9, 20)])], {}, {1: [0]}, id="a short gap is none"),
        pytest.param([seen([0, 1, 40], f40=0.2)], {}, {1: [0]}, id="a gap with nothing sure behind it"),
        pytest.param(
            [seen(range(9)), seen(range(3))],
            {},
            {1: [3], 2: [0]},
            id="not where another covers it, but for what is always covered",
        ),
        pytest.param([seen(range(9)), seen(range(9), FAR)], {}, {1: [0], 2: [0]}, id="apart they don't"),
        pytest.param(
            [seen(range(30)), seen(range(8, 14))],
            {"every_frames": 10},
            {1: [0, 14, 24], 2: [8]},
            id="clear again",
        ),
    ],
)
def test_prompts_are_where_a_box_is_good(objects, policy, expected):
    tracklets = [Tracklet(i, tuple(boxes), None) for i, boxes in enumerate(objects, 1)]
    chosen = key_frames(tracklets, PromptPolicy(**policy))

    assert {i: [d.frame_index for d in boxes] for i, boxes in chosen.items()} == expected
