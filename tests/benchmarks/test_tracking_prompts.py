"""Prompts that are made from truth."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import tracking_prompts as prompts
from benchmarks.tracking_settings import SETTINGS, is_there, possible
from tests.benchmarks.tracking_cases import DrawnVideo, drawn, masks_of, square

MOVING = drawn(*({1: t // 5} for t in range(120)))


def frames(rows: list[dict], kind: str | None = None) -> list[int]:
    return [row["frame_index"] for row in rows if row.get("kind") == kind]


def test_an_object_is_prompted_when_it_is_in_full_sight():
    half = {1: square(0, 5)}
    video = DrawnVideo("drawn", MOVING.frames, {0: half, 1: masks_of({1: 0}), 2: masks_of({1: 0})})
    assert frames(prompts.at_first_sight(video)) == [1]


def test_key_frames_are_given_at_a_pace_from_the_first_one_on():
    rows = prompts.boxes_every_50(MOVING)
    assert frames(rows) == [0, 50, 100]
    assert rows[1]["box_xyxy"] == [10, 5, 19, 14]


def test_corrections_are_given_where_a_run_was_wrong_but_not_on_every_frame():
    lost = {t: masks_of({1: t // 5 if t < 40 else 45}) for t in range(120)}
    rows = prompts.corrections_by_clicks(MOVING, lost, {})
    assert frames(rows, "correction") == [40, 70, 100]
    clicked = rows[1]
    assert clicked["point_labels"] == [1, 0]  # on the object, and on what was taken for it
    (x, y), (wrong_x, wrong_y) = (map(round, point) for point in clicked["points_xy"])
    assert square(8)[y, x] and square(45)[wrong_y, wrong_x]


def test_what_is_right_needs_no_correction():
    right = {t: masks_of({1: t // 5}) for t in range(120)}
    assert frames(prompts.corrections_by_masks(MOVING, right, {}), "correction") == []


def test_an_object_that_returns_becomes_a_new_one():
    video = drawn(*[{1: 0}] * 4, *[{}] * 6, *[{1: 20}] * 4)
    rows = prompts.new_objects_at_returns(video)
    assert [(row["object_id"], row["frame_index"]) for row in rows] == [(1, 0), (101, 10)]


def test_the_other_camera_gives_its_masks_and_is_named():
    other = drawn({1: 0}, {1: 0})
    video = replace(drawn({1: 30}, {1: 30}), video_id="camera-2")
    (row,) = prompts.by_the_other_camera(video, {}, {"camera-1": other, "camera-2": video})
    assert (row["video_id"], row["video_uri"]) == ("camera-2", "drawn")
    assert row["prompt_video_uri"] == str(other.frames)
    assert row["mask_rle"] == prompts.at_first_sight(other)[0]["mask_rle"]


def test_a_setting_looks_at_one_that_comes_before_it():
    names = [setting.name for setting in SETTINGS]
    assert len(set(names)) == len(names)
    for place, setting in enumerate(SETTINGS):
        assert setting.looks_at is None or setting.looks_at in names[:place]


@pytest.mark.parametrize(
    ("needs", "is_there"), [("jobs.segment", True), ("jobs.nothing", False), (None, True)]
)
def test_settings_of_features_that_are_not_there_are_named(needs, is_there):
    setting = replace(SETTINGS[0], needs=needs)
    assert possible([setting]) == (([setting], []) if is_there else ([], [setting.name]))


def test_features_are_known_by_their_name():
    assert is_there("tracking.max_conditioning_frames") and not is_there("tracking.nothing")
    assert is_there("prompt.box_xyxy") and not is_there("prompt.nothing")


def test_full_sight_is_measured_by_the_usual_area():
    sizes = [10, 10, 8, 5, 10]
    video = DrawnVideo("drawn", MOVING.frames, {t: {1: square(0, size)} for t, size in enumerate(sizes)})
    assert prompts._seen_frames(video, 1) == [0, 1, 2, 4]
    assert np.count_nonzero(video.of(1, 3)) == 50
