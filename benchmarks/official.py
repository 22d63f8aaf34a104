"""The official SAM2VideoPredictor, on a folder of frames as its users run it or on frames in memory.

Either way without its CUDA extension: holes in masks are not filled.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.sam2_video_predictor import SAM2VideoPredictor

from benchmarks.settings import Precision, Setting, System
from benchmarks.ticks import Tick
from benchmarks.workload import Clip
from pipeline.engine.sam2_model import OFFICIAL_OVERRIDES, read_config
from pipeline.inputs.weights import read_weights
from pipeline.outputs.rle import decode_mask
from pipeline.records import Prompt
from tests.engine.oracle import as_official_tensor, give_prompts

NANO_WEIGHTS = Path(str(resources.files("pipeline.bundled") / "nano" / "sam2_nano.safetensors"))


class OfficialMasks(NamedTuple):
    """What the official predictor finds on one frame."""

    frame_index: int
    masks: dict[int, np.ndarray]  # (height, width) bool by object id


def build_predictor(
    architecture: str,
    weights: Mapping[str, torch.Tensor] | None,
    image_size_px: int | None = None,
    compiled: bool = False,
) -> SAM2VideoPredictor:
    """Return the predictor that `build_sam2_video_predictor` builds, on the CPU.

    Args:
        architecture: `nano`, or a config of the sam2 package.
        weights: Every parameter by name; None leaves them random.
        image_size_px: Side of the square that the model sees; None is the architecture's own.
        compiled: As with `vos_optimized=True`.
    """
    config = OmegaConf.merge(read_config(architecture).model, {"sam_mask_decoder_extra_args": {}})
    config = OmegaConf.merge(config, OFFICIAL_OVERRIDES, {"compile_image_encoder": compiled})
    config._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor" + ("VOS" if compiled else "")
    config.image_size = image_size_px or config.image_size
    predictor = instantiate(config)
    if weights is not None:
        predictor.load_state_dict(weights)
    return predictor.eval()


def official_nano() -> SAM2VideoPredictor:
    """Return the official predictor with our nano weights."""
    return build_predictor("nano", read_weights(NANO_WEIGHTS))


def track(predictor, frames: Path, prompts: Sequence[Prompt]) -> Iterator[OfficialMasks]:
    """Yield the masks of every frame; the first step loads all frames, as the package does.

    Args:
        predictor: What `official_nano` gave.
        frames: A folder of JPEGs whose names are numbers.
        prompts: Of one or more objects.
    """
    state = predictor.init_state(str(frames))
    masks = {prompt: decode_mask(prompt.mask) for prompt in prompts if prompt.mask is not None}
    give_prompts(predictor, state, prompts, masks)
    for frame_index, object_ids, logits in predictor.propagate_in_video(state):
        found = (logits[:, 0] > 0).cpu().numpy()
        yield OfficialMasks(frame_index, dict(zip(object_ids, found, strict=True)))


class Official:
    """The predictor as a peer: one video after the other, since it has no way to run several at once."""

    def __init__(self, setting: Setting, architecture: str):
        compiled = setting.system is System.official_compiled
        predictor = build_predictor(architecture, read_weights(setting.weights), setting.image_size, compiled)
        # Its parameters go on asking for gradients, as its users leave them: autocast caches no other casts.
        self.predictor = predictor.to(setting.device)
        self.autocast = setting.precision is Precision.bf16

    def ticks(self, clips: Sequence[Clip]) -> Iterator[Tick]:
        for video, clip in enumerate(clips):
            with torch.autocast(self.predictor.device.type, torch.bfloat16, enabled=self.autocast):
                state = self._begin(clip)
                for frame_index, _, logits in self.predictor.propagate_in_video(state):
                    yield Tick(frame_index, {video: logits[:, 0] > 0})

    def _begin(self, clip: Clip) -> dict[str, Any]:
        """Return a state with all frames on the device, and the prompts given."""
        images = torch.stack([as_official_tensor(frame) for frame in clip.frames]).to(self.predictor.device)
        loaded = (images, *clip.video_size_hw)
        with mock.patch("sam2.sam2_video_predictor.load_video_frames", return_value=loaded):
            state = self.predictor.init_state("")
        give_prompts(self.predictor, state, clip.prompts, {})
        return state
