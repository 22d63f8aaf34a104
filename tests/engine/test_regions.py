"""Holes and specks are cleaned as the official predictor does where its CUDA extension runs."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from pipeline.engine.regions import HOLE_LOGIT, SPECK_LOGIT, clean_regions
from pipeline.records import Prompt
from tests.engine.oracle import official_logits, official_predictor
from tests.engine.rounding import twins
from tests.engine.scenes import engine_of, nano_model, propagate, scene


def components(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Label 8-connected regions and count their areas, as sam2's CUDA extension does."""
    labels, areas = np.zeros(masks.shape, np.int32), np.zeros(masks.shape, np.int32)
    for i, mask in enumerate(masks[:, 0].numpy()):
        labels[i, 0], count = ndimage.label(mask, structure=np.ones((3, 3)))
        sizes = ndimage.sum_labels(mask > 0, labels[i, 0], range(count + 1))
        areas[i, 0] = np.where(mask > 0, sizes[labels[i, 0]], 0)
    return torch.from_numpy(labels), torch.from_numpy(areas)


@pytest.fixture
def official_extension(monkeypatch):
    """Stand SciPy in for the compiled extension, so that the official hole filling runs here."""
    extension = SimpleNamespace(get_connected_componnets=components)
    monkeypatch.setitem(sys.modules, "sam2._C", extension)
    monkeypatch.setattr("sam2._C", extension, raising=False)


def logits_of(rows: list[str]) -> torch.Tensor:
    return torch.tensor([[[[3.0 if c == "#" else -3.0 for c in row] for row in rows]]])


HOLED = ["#####...", "#.#.#...", "#####..#", "#..##...", "#####..."]


@pytest.mark.parametrize(
    ("max_hole_px", "max_speck_px", "expected"),
    [
        pytest.param(0, 0, HOLED, id="nothing asked, nothing done"),
        pytest.param(1, 0, ["#####...", "#####...", "#####..#", "#..##...", "#####..."], id="holes of 1 px"),
        pytest.param(2, 0, ["#####...", "#####...", "#####..#", "#####...", "#####..."], id="holes of 2 px"),
        pytest.param(0, 1, ["#####...", "#.#.#...", "#####...", "#..##...", "#####..."], id="specks of 1 px"),
    ],
)
def test_regions_up_to_the_area_are_cleaned(max_hole_px, max_speck_px, expected):
    cleaned = clean_regions(logits_of(HOLED), max_hole_px, max_speck_px)
    assert ((cleaned > 0) == (logits_of(expected) > 0)).all()


def test_touching_corners_join_a_region():
    diagonal = logits_of(["###", "#.#", "##.", "###"])  # the two holes are one of 2 px
    assert (clean_regions(diagonal, 1, 0) == diagonal).all()


def test_filled_pixels_get_the_official_logit():
    cleaned = clean_regions(logits_of(HOLED), 1, 1)
    assert cleaned[0, 0, 1, 1] == HOLE_LOGIT
    assert cleaned[0, 0, 2, 7] == SPECK_LOGIT


def test_objects_are_cleaned_apart():
    both = torch.cat([logits_of(HOLED), -logits_of(HOLED)])
    alone = torch.cat([clean_regions(one[None], 2, 2) for one in both])
    assert (clean_regions(both, 2, 2) == alone).all()


def frame_iou(logits: torch.Tensor, others: torch.Tensor) -> float:
    found, expected = logits > 0, others > 0
    return float((found & expected).sum() / (found | expected).sum().clamp(min=1))


def test_a_whole_run_equals_the_official_one_with_hole_filling(official_extension):
    model = nano_model()
    frames = scene(22, model.image_size)
    click = Prompt(1, 0, points_xy=((120, 60),), point_labels=(1,))
    _, ours = propagate(engine_of(model, max_hole_px=8), frames, [click])
    _, unfilled = propagate(engine_of(model, max_hole_px=0), frames, [click])
    theirs, *itself = (
        official_logits(official_predictor(each, "nano", fill_hole_area=8), frames, [click], {})
        for each in (model, *twins(model))
    )
    rounding = max(1 - frame_iou(twin[t], theirs[t]) for twin in itself for t in theirs)

    assert any((ours[key] != unfilled[key]).any() for key in ours), "no hole was filled: a weak test"
    for (_, t), logits in ours.items():
        assert frame_iou(logits, theirs[t]) >= 1 - max(0.002, 2 * rounding)
