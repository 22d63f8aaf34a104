import numpy as np
import pytest

from pipeline.outputs.overlay import Overlay, OverlayConfig, label_texts
from pipeline.outputs.reader import read_masks
from tests.outputs.tables import frame_masks, square, write_masks

SIZE_HW = (90, 120)


def detections_of(tmp_path, masks, labels=None):
    write_masks(tmp_path, "belt", [frame_masks(0, masks)], labels)
    return next(iter(read_masks(tmp_path))).to_detections()


def block(x: int) -> np.ndarray:
    mask = np.zeros(SIZE_HW, bool)
    mask[30:70, x : x + 30] = True
    return mask


def draw(detections, **config) -> np.ndarray:
    gray = np.full((*SIZE_HW, 3), 100, np.uint8)
    return Overlay(OverlayConfig(**config), SIZE_HW).draw(gray, detections)


def test_an_object_keeps_its_colour_whoever_else_is_there(tmp_path):
    alone = draw(detections_of(tmp_path, {5: block(80)}))
    in_company = draw(detections_of(tmp_path, {3: block(10), 5: block(80)}))
    assert np.array_equal(alone[50, 95], in_company[50, 95])
    assert not np.array_equal(in_company[50, 25], in_company[50, 95])


@pytest.mark.parametrize(
    ("object_id", "bgr"),
    [pytest.param(1, [0, 255, 0], id="second colour"), pytest.param(2, [0, 0, 255], id="round to the first")],
)
def test_the_palette_gives_each_id_its_colour(tmp_path, object_id, bgr):
    image = draw(detections_of(tmp_path, {object_id: block(40)}), palette="ff0000 00ff00", opacity=1)
    assert image[50, 55].tolist() == bgr


def test_opacity_blends_the_colour_with_the_frame(tmp_path):
    image = draw(detections_of(tmp_path, {2: block(40)}), palette="#ff0000 #00ff00", opacity=0.5)
    assert image[50, 55].tolist() == [50, 50, 178]


def test_what_is_not_on_an_object_stays_as_it_is(tmp_path):
    image = draw(detections_of(tmp_path, {1: block(40)}), labels=False)
    assert (image[:, :35] == 100).all() and (image[:, 75:] == 100).all()


def test_a_frame_where_nothing_is_seen_stays_as_it_is(tmp_path):
    nothing = np.zeros(SIZE_HW, bool)
    assert (draw(detections_of(tmp_path, {1: nothing}), trails=True) == 100).all()


def test_a_trail_joins_where_an_object_was(tmp_path):
    overlay = Overlay(OverlayConfig(trails=True, labels=False), SIZE_HW)
    gray = np.full((*SIZE_HW, 3), 100, np.uint8)
    for x in (5, 80):
        image = overlay.draw(gray.copy(), detections_of(tmp_path, {1: block(x)}))
    assert (image[50, 40:70] != 100).any(axis=-1).all()


def test_a_label_is_the_id_and_the_class_name_where_there_is_one(tmp_path):
    detections = detections_of(tmp_path, {4: square(0), 11: square(5)}, {4: "bottle"})
    assert label_texts(detections) == ["4 bottle", "11"]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"opacity": 1.5}, "opacity is 1.5, expected 0 to 1"),
        ({"palette": "red"}, "palette is 'red', expected one of"),
        ({"palette": ""}, "palette is '', expected one of"),
        ({"palette": "ff0000 00ff0"}, "palette is 'ff0000 00ff0', expected one of"),
    ],
)
def test_wrong_settings_are_named(config, problem):
    with pytest.raises(ValueError, match=problem):
        OverlayConfig(**config)
