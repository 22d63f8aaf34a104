"""The nano network: to train, at any image size, and as the official predictor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor
from torch import nn

from pipeline.engine.sam2_model import OFFICIAL_OVERRIDES, build_model, read_config
from pipeline.inputs.weights import read_weights

STRIDE_PX = 16  # of the features that memories are made of


def new_network(seed: int) -> SAM2Base:
    """Return an untrained network whose first weights suit a short training."""
    torch.manual_seed(seed)
    network = for_training(build_model("nano", None))
    _suit_short_training(network)
    return network


def _suit_short_training(network: Any) -> None:  # Any: torch types no submodule of a module
    for layer in network.memory_encoder.fuser.layers:
        nn.init.constant_(layer.gamma, 0.1)
    nn.init.trunc_normal_(network.image_encoder.trunk.pos_embed, std=0.02)
    nn.init.trunc_normal_(network.image_encoder.trunk.pos_embed_window, std=0.02)
    nn.init.constant_(network.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 1.0)
    for layer in network.sam_mask_decoder.transformer.layers:
        _tie(layer.cross_attn_token_to_image)
        _tie(layer.cross_attn_image_to_token)


def _tie(attention: Any) -> None:
    """Start with equal queries and keys: points and pixels share one code of place; a click finds its own."""
    nn.init.xavier_uniform_(attention.q_proj.weight, gain=1.5)
    nn.init.zeros_(attention.q_proj.bias)
    attention.k_proj.load_state_dict(attention.q_proj.state_dict())


def network_of(weights: Mapping[str, torch.Tensor]) -> SAM2Base:
    """Return the network with weights, which may be fp16, to go on with."""
    return for_training(build_model("nano", {name: tensor.float() for name, tensor in weights.items()}))


def for_training(network: SAM2Base) -> SAM2Base:
    return network.train().requires_grad_(True)


def set_image_size(network: SAM2Base, side_px: int) -> None:
    """Let the network see squares of another size: nothing but its bookkeeping depends on it."""
    side = side_px // STRIDE_PX
    network.image_size, network.sam_image_embedding_size = side_px, side
    encoder = network.sam_prompt_encoder
    encoder.image_embedding_size = (side, side)
    encoder.input_image_size = (side_px, side_px)
    encoder.mask_input_size = (side_px // 4, side_px // 4)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return weights in fp32: `.safetensors`, `{"model": tensors}`, or a training state's averaged ones."""
    if path.suffix != ".safetensors":
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights = content.get("average") or content["model"]
    else:
        weights = read_weights(path)
    return {name: tensor.float() for name, tensor in weights.items()}


def official_predictor(weights: Mapping[str, torch.Tensor], device: str = "cpu") -> SAM2VideoPredictor:
    """Return what `build_sam2_video_predictor` builds of nano, with weights loaded strictly."""
    config = read_config("nano")
    # Before they are overridden: a key in which OFFICIAL_OVERRIDES has more than one value must exist.
    merged = OmegaConf.merge(config.model, {"sam_mask_decoder_extra_args": {}}, OFFICIAL_OVERRIDES)
    merged._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    predictor: SAM2VideoPredictor = instantiate(merged)
    predictor.load_state_dict(weights, strict=True)
    return predictor.eval().to(device)
