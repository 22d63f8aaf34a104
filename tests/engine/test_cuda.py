"""On a GPU the engine finds what it finds on a CPU, whatever company a lane is in."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pipeline.engine.config import DeviceChoice, Precision
from pipeline.engine.run_lengths import run_lengths
from pipeline.engine.shared_engine import SharedEngine
from pipeline.outputs.rle import decode_masks
from tests.engine.parity_cases import EVERYTHING, MASKS
from tests.engine.scenes import disc, engine_of, nano_model, propagate, scene
from tests.engine.test_lanes import VIDEOS, alone, run
from tests.engine.test_shared_engine import MASK, follow

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


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_captured_graphs_find_the_same_masks(precision, compiled):
    frames = scene(40, 256)  # a shape is captured after it came eight times
    plain = engine_of(nano_model(), precision=Precision(precision), **CUDA)
    captured = engine_of(nano_model(), precision=Precision(precision), capture=True, compile=compiled, **CUDA)
    _, expected = propagate(plain, frames, EVERYTHING.prompts, MASKS)
    _, found = propagate(captured, frames, EVERYTHING.prompts, MASKS)
    assert captured._track._graphs, "nothing was captured: a weak test"
    assert captured._encode_images._graphs, "nothing was captured: a weak test"
    assert iou(found, expected) >= 0.995


@pytest.mark.parametrize("capture", [False, True])
def test_several_videos_on_threads_find_what_each_finds_alone(capture):
    frames = scene(40, 256)
    engine = engine_of(nano_model(), capture=capture, **CUDA)
    alone, _ = propagate(engine_of(nano_model(), **CUDA), frames, [MASK], {MASK: disc(0)})
    expected = [found.rles for found in alone]
    shared = SharedEngine(lambda: engine)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: follow(shared, frames), range(4)))
    for rles in results:
        ious = [
            (ours & theirs).sum() / max((ours | theirs).sum(), 1)
            for found, wanted in zip(rles, expected, strict=True)
            for ours, theirs in zip(decode_masks(found), decode_masks(wanted), strict=True)
        ]
        assert min(ious) > 0.98


def test_runs_made_on_the_gpu_are_those_of_the_cpu():
    masks = torch.rand(5, 480, 854, generator=torch.Generator().manual_seed(0)) > 0.5
    masks[1], masks[2] = True, False
    assert run_lengths(masks.cuda()) == run_lengths(masks)
