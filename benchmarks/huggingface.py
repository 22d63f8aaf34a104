"""transformers' `Sam2VideoModel` as a system of the comparison, with the official weights."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from sam2.modeling.backbones.hieradet import Hiera

from benchmarks.hf_weights import hf_weights
from benchmarks.settings import Precision, Setting
from benchmarks.ticks import Tick
from benchmarks.workload import Clip
from pipeline.engine.prompts import point_prompt
from pipeline.engine.sam2_model import read_config
from pipeline.inputs.weights import read_weights
from tests.engine.oracle import as_official_tensor


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Let transformers find no torchvision in the block.

    It imports one wherever it finds one, which fails where that was built for another torch; the model needs
    nothing of it.
    """
    modules: dict[str, Any] = sys.modules
    imported = {name: modules.pop(name) for name in ["torchvision"] if name in modules}
    modules["torchvision"] = None  # reads as "not installed"
    try:
        yield
    finally:
        del modules["torchvision"]
        modules.update(imported)


with _without_torchvision():
    from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig, Sam2VisionConfig
    from transformers.models.sam2_video.configuration_sam2_video import (
        Sam2VideoConfig,
        Sam2VideoMaskDecoderConfig,
        Sam2VideoPromptEncoderConfig,
    )
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession, Sam2VideoModel

STRIDES = (4, 8, 16)  # of the three feature maps
DTYPE = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16}


class HuggingFace:
    """The model with all state on its device: one video after the other, it cannot run several at once."""

    def __init__(self, setting: Setting, architecture: str):
        self.device, self.dtype = torch.device(setting.device), DTYPE[setting.precision]
        model: Any = Sam2VideoModel(hf_config(architecture, setting.image_size))
        model.load_state_dict(hf_weights(read_weights(setting.weights)))
        self.model = model.eval().to(self.device, self.dtype)
        self.image_size_px = setting.image_size

    def ticks(self, clips: Sequence[Clip]) -> Iterator[Tick]:
        for video, clip in enumerate(clips):
            session = self._begin(clip)
            for found in self.model.propagate_in_video_iterator(session, start_frame_idx=0):
                yield Tick(found.frame_idx, {video: video_logits(found.pred_masks, clip)[:, 0] > 0})

    def _begin(self, clip: Clip) -> Sam2VideoInferenceSession:
        """Return a session with all frames on the device, and the prompts given."""
        session = Sam2VideoInferenceSession(
            video=torch.stack([as_official_tensor(frame) for frame in clip.frames]),
            video_height=clip.video_size_hw[0],
            video_width=clip.video_size_hw[1],
            inference_device=self.device,
            inference_state_device=self.device,
            video_storage_device=self.device,
            dtype=self.dtype,
        )
        for prompt in clip.prompts:
            points = point_prompt(prompt, clip.video_size_hw, self.image_size_px)
            inputs = {"point_coords": points.coordinates_xy[None], "point_labels": points.labels[None]}
            session.add_point_inputs(session.obj_id_to_idx(prompt.object_id), 0, inputs)
        session.obj_with_new_inputs = [prompt.object_id for prompt in clip.prompts]
        return session


def video_logits(low_resolution: torch.Tensor, clip: Clip) -> torch.Tensor:
    """Return (object, 1, height, width) logits at the video's size, as the processor of transformers does."""
    return torch.nn.functional.interpolate(
        low_resolution.float(), clip.video_size_hw, mode="bilinear", align_corners=False
    )


def hf_config(architecture: str, image_size_px: int) -> Sam2VideoConfig:
    """Return the configuration of the network that an official config describes, for a square input."""
    official = read_config(architecture).model
    attention, hidden = official.memory_attention, official.memory_attention.d_model
    return Sam2VideoConfig(
        vision_config=_vision_config(official.image_encoder, image_size_px),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=hidden, image_size=image_size_px),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(hidden_size=hidden),
        image_size=image_size_px,
        enable_occlusion_spatial_embedding=official.get("no_obj_embed_spatial", False),
        enable_temporal_pos_encoding_for_object_pointers=official.get("add_tpos_enc_to_obj_ptrs", True),
        memory_attention_hidden_size=hidden,
        memory_attention_num_layers=attention.num_layers,
        memory_attention_feed_forward_hidden_size=attention.layer.dim_feedforward,
        memory_attention_rope_feat_sizes=[image_size_px // STRIDES[-1]] * 2,
        memory_encoder_hidden_size=hidden,
        mask_downsampler_embed_dim=hidden,
        memory_fuser_embed_dim=hidden,
        memory_fuser_intermediate_dim=4 * hidden,
    )


def _vision_config(encoder: Any, image_size_px: int) -> Sam2VisionConfig:
    trunk = {name: parameter.default for name, parameter in signature(Hiera).parameters.items()}
    trunk |= dict(encoder.trunk)
    stages = range(len(trunk["stages"]))
    backbone = Sam2HieraDetConfig(
        hidden_size=trunk["embed_dim"],
        num_attention_heads=trunk["num_heads"],
        image_size=[image_size_px] * 2,
        window_positional_embedding_background_size=list(trunk["window_pos_embed_bkg_spatial_size"]),
        blocks_per_stage=list(trunk["stages"]),
        embed_dim_per_stage=[trunk["embed_dim"] * 2**i for i in stages],
        num_attention_heads_per_stage=[trunk["num_heads"] * 2**i for i in stages],
        window_size_per_stage=list(trunk["window_spec"]),
        global_attention_blocks=list(trunk["global_att_blocks"]),
    )
    return Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=list(encoder.neck.backbone_channel_list),
        backbone_feature_sizes=[[image_size_px // stride] * 2 for stride in STRIDES],
        fpn_hidden_size=encoder.neck.d_model,
    )
