"""On a GPU the engine finds what it finds on a CPU, whatever company a lane is in."""

import os

import pytest
import torch

from pipeline.engine.engine import DeviceChoice, Precision
from tests.engine.parity_cases import EVERYTHING, MASKS
from tests.engine.scenes import engine_of, nano_model, propagate, scene
from tests.engine.test_lanes import VIDEOS, alone, run

pytestmark = pytest.mark.gpu
CUDA = {"device": DeviceChoice.cuda}


@pytest.fixture(scope="module", autouse=True)
def gpu():
    if not torch.cuda.is_available():
        reason = "needs a CUDA device"
        pytest.fail(reason) if os.environ.get("REQUIRE_GPU") else pytest.skip(reason)


def iou(ours, theirs):
    """Return the IoU over all masks of two runs together, given as logits by the same keys."""
    assert ours.keys() == theirs.keys()
    pairs = [(ours[key].cpu() > 0, theirs[key].cpu() > 0) for key in ours]
    return float(sum((a & b).sum() for a, b in pairs) / sum((a | b).sum() for a, b in pairs))


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.998), ("bf16", 0.98), ("fp16", 0.98)])
def test_the_masks_are_those_of_the_cpu_in_fp32(precision, least):
    frames = scene(EVERYTHING.num_frames, 256)
    _, expected = propagate(engine_of(nano_model()), frames, EVERYTHING.prompts, MASKS)
    engine = engine_of(nano_model(), precision=Precision(precision), **CUDA)
    _, found = propagate(engine, frames, EVERYTHING.prompts, MASKS)
    assert iou(found, expected) >= least


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_lane_finds_the_same_mask_in_any_company(precision):
    frames = scene(20, 256)
    engine = engine_of(nano_model(), precision=Precision(precision), **CUDA)
    assert iou(run(engine, frames, VIDEOS), alone(engine, frames)) >= 0.999
