"""What goes into a graph on CUDA: one piece, for torch's compiler too; the graphs themselves need a GPU."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.utils._pytree import tree_leaves

from pipeline.engine import engine, memory_attention
from pipeline.engine.config import DeviceChoice, EngineConfig
from pipeline.engine.engine import Engine
from pipeline.engine.lanes import Lane, look_back
from pipeline.engine.state import VideoState
from pipeline.engine.tracking import LaneTensors, track
from pipeline.errors import UsageError
from pipeline.records import Prompt
from tests.engine.scenes import condition, engine_of, nano_model, scene

PROMPTS = [Prompt(1, 0, box_xyxy=(60, 40, 84, 64)), Prompt(2, 0, box_xyxy=(102, 48, 126, 72))]


def attend_as_on_a_gpu(query, key, value):
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]


@pytest.fixture
def network_as_on_a_gpu(monkeypatch):
    """Return an engine that takes the way of a GPU through the network."""
    monkeypatch.setattr(engine, "can_pack", lambda dtype: False)
    monkeypatch.setattr(memory_attention, "attend", attend_as_on_a_gpu)
    return engine_of(nano_model())


@torch.inference_mode()
def test_the_compiler_takes_encoder_and_tracker_as_a_whole(network_as_on_a_gpu):
    ours, frames = network_as_on_a_gpu, scene(2, 256)
    state = VideoState(num_frames=16)
    condition(ours, state, frames, PROMPTS, {})
    (features,) = ours.encode(frames[1:])
    lanes = [Lane(bank, features, 16) for bank in state.objects.values()]
    tensors = LaneTensors.of(lanes, [look_back(lane.bank, 1, 16) for lane in lanes], 2)
    images = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    for function, inputs in (
        (partial(track, ours.network), (*tensors.shared, *tensors[1:])),
        (ours.network.encode, (images,)),
    ):
        whole = torch.compile(function, dynamic=False, fullgraph=True, backend="eager")
        found, expected = tree_leaves(whole(*inputs)), tree_leaves(function(*inputs))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_graphs_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match=r"engine.capture=true needs engine.device=cuda, got cpu"):
        EngineConfig(device=DeviceChoice.cpu, capture=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("config", [EngineConfig(capture=True), EngineConfig(device=DeviceChoice.cuda)])
def test_a_gpu_that_is_not_there_is_named_by_the_setting_that_asks_for_it(config):
    with pytest.raises(UsageError, match=r"engine\.(capture=true|device=cuda)"):
        Engine(nano_model(), config)


def test_nothing_is_compiled_that_is_not_captured():
    with pytest.raises(ValueError, match=r"engine.compile=true needs engine.capture=true"):
        EngineConfig(compile=True)


@pytest.mark.parametrize("frames", [0, 7])
def test_the_number_of_memory_frames_is_bounded(frames):
    with pytest.raises(ValueError, match=rf"engine.memory_frames must be 1 to 6, got {frames}"):
        EngineConfig(memory_frames=frames)
