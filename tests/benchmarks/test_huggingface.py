"""transformers gets the official weights under its own names, and then finds the official masks."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from benchmarks.models import model_of, write_random_weights
from benchmarks.official import Official
from benchmarks.settings import System
from benchmarks.workload import clips
from tests.benchmarks.settings import NANO

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="extra `bench` is not installed")


def logits_of_both(setting) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (frame, object, height, width) logits at the video's size, official ones and transformers'."""
    from benchmarks.huggingface import HuggingFace, video_logits

    architecture = model_of(setting.model).architecture
    clip = clips(1, setting.objects, setting.frames, setting.image_size)[0]
    official = Official(setting, architecture)
    theirs = [logits[:, 0] for _, _, logits in official.predictor.propagate_in_video(official._begin(clip))]
    peer = HuggingFace(replace(setting, system=System.transformers), architecture)
    found = peer.model.propagate_in_video_iterator(peer._begin(clip), start_frame_idx=0)
    return torch.stack(theirs), torch.stack([video_logits(f.pred_masks, clip)[:, 0] for f in found])


def test_nano_gives_the_official_logits():
    official, peer = logits_of_both(replace(NANO, objects=2))
    assert official.std() > 1  # logits of one value would be equal by chance
    differences = (official - peer).abs()
    assert differences[:2].max() < 1e-3
    # Later on, memories that both round to bf16 fall to either side of a step now and then.
    assert differences.mean() < 1e-2 and differences.max() < 1
    assert ((official > 0) != (peer > 0)).float().mean() < 1e-4


@pytest.mark.parametrize(
    "model", ["sam2.1_tiny", pytest.param("sam2.1_base_plus", marks=pytest.mark.slow), "sam2_tiny"]
)
def test_official_architectures_give_the_official_logits(model, tmp_path):
    weights = write_random_weights(model_of(model), tmp_path)
    setting = replace(NANO, model=model, image_size=128, frames=9, weights=weights)
    official, peer = logits_of_both(setting)
    assert official.std() > 0.01
    assert (official - peer).abs().max() < 1e-3
