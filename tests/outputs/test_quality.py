"""Each signal sees what it is for, and nothing in a masklet that goes its way."""

import numpy as np
import pytest

from pipeline.outputs.islands import stray_share
from pipeline.outputs.quality import Masklet, QualityConfig, severities, signals_of, usual_area
from tests.outputs.tables import encoded

CONFIG = QualityConfig()


def masklet(areas, **more):
    """Return squares of these areas that stand still in the middle of a large frame."""
    areas = np.array(areas, float)
    sides = np.sqrt(areas)[:, None]
    boxes = np.where(areas[:, None] > 0, 500 + sides * [-0.5, -0.5, 0.5, 0.5], np.nan)
    count = len(areas)
    fine = {
        "frame_index": np.arange(count),
        "area_px": areas,
        "box_xyxy": boxes,
        "object_score": np.full(count, 8.0),
        "iou_score": np.full(count, 0.9),
        "stability_score": np.full(count, 0.95),
        "prompted": np.arange(count) == 0,
        "size_hw": (1000, 1000),
    }
    return Masklet(**fine | more)


def reasons(masklet, strays=None):
    """Return by reason the frames on which it is given."""
    strays = np.zeros(len(masklet.area_px)) if strays is None else np.array(strays)
    found = severities(masklet, signals_of(masklet, CONFIG), strays, CONFIG)
    return {reason: np.flatnonzero(values).tolist() for reason, values in found.items() if values.any()}


def changed(base, frame, value):
    values = np.array(base, float)
    values[frame] = value
    return values


CALM = [400, 410, 405, 400, 395, 400]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(masklet(CALM), {}, id="nothing happens"),
        pytest.param(masklet([400, 440, 480, 530, 580, 640]), {}, id="it comes nearer"),
        pytest.param(masklet(changed(CALM, 3, 900)), {"area_jump": [3]}, id="twice as large"),
        pytest.param(masklet(changed(CALM, 3, 100)), {"area_jump": [3]}, id="a quarter"),
        pytest.param(masklet([400, 400, 0, 0, 400, 400]), {"lost": [2]}, id="gone, once, and back"),
        pytest.param(
            masklet(CALM, object_score=changed([8] * 6, 4, -0.2)), {"unsure_if_visible": [4]}, id="unsure"
        ),
        pytest.param(masklet(CALM, iou_score=changed([0.9] * 6, 2, 0.2)), {"low_iou_score": [2]}, id="low"),
        pytest.param(
            masklet(CALM, stability_score=changed([0.9] * 6, 2, 0.1)), {"unstable": [2]}, id="unstable"
        ),
        pytest.param(
            masklet(CALM, stability_score=changed([0.9] * 6, 2, np.nan)), {}, id="a file without stability"
        ),
        pytest.param(masklet(changed(CALM, 0, 900)), {"area_jump": [1]}, id="right after its prompt"),
        pytest.param(masklet(changed(CALM, 3, 900), prompted=np.arange(6) == 3), {}, id="a person said so"),
    ],
)
def test_what_is_amiss_is_told_and_where(one, expected):
    assert reasons(one) == expected


def test_a_jump_to_another_place_is_told():
    boxes = masklet(CALM).box_xyxy
    boxes[3:] += 300
    assert reasons(masklet(CALM, box_xyxy=boxes)) == {"moved": [3]}


def test_at_the_edge_a_jump_counts_half():
    boxes = masklet(CALM).box_xyxy
    boxes[:, [0, 2]] -= boxes[:, [0]]
    middle, edge = masklet(changed(CALM, 3, 900)), masklet(changed(CALM, 3, 900), box_xyxy=boxes)
    in_the_middle, at_the_edge = (
        severities(one, signals_of(one, CONFIG), np.zeros(6), CONFIG)["area_jump"][3]
        for one in (middle, edge)
    )
    assert at_the_edge == pytest.approx(in_the_middle / 2)


def test_stray_islands_are_told():
    assert reasons(masklet(CALM), [0, 0, 0.4, 0, 0, 0]) == {"stray_islands": [2]}


@pytest.mark.parametrize("size_hw", [(40, 60), (1080, 1920)])
def test_islands_are_measured_by_what_is_not_in_the_largest(size_hw):
    mask = np.zeros(size_hw, bool)
    height, width = size_hw
    mask[: height // 2, : width // 2] = True
    whole = stray_share(encoded(mask[None])[0])
    mask[height // 2 + height // 4 :, width // 2 + width // 4 :] = True
    assert (whole, stray_share(encoded(mask[None])[0])) == (0, pytest.approx(0.2, abs=0.01))
    assert stray_share(encoded(np.zeros((1, 8, 8), bool))[0]) == 0


def test_what_is_usual_is_the_median_of_the_last_visible_frames():
    usual = usual_area(np.array([10, 0, 12, 14, 90]), 3)
    assert np.array_equal(usual, [np.nan, 10, 10, 11, 12], equal_nan=True)
    assert np.isnan(usual_area(np.zeros(3), 3)).all()
