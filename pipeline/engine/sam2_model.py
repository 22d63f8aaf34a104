"""Build the SAM 2 network from the official package's modules.

The one engine file that uses Hydra, because the official configs are Hydra configs. They are read
with OmegaConf and instantiated; `sam2.build_sam` cannot be used, since it composes through Hydra's
global state, which in our jobs points at our own `conf/`.
"""

from collections.abc import Mapping
from importlib import resources

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from sam2.modeling.sam2_base import SAM2Base

from pipeline.errors import WeightsError

# What `build_sam2_video_predictor` adds to each config (`apply_postprocessing=True`), but for
# `fill_hole_area`, which the engine does itself: https://github.com/facebookresearch/sam2 at 2b90b9f.
OFFICIAL_OVERRIDES = {
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
    "binarize_mask_from_pts_for_mem_enc": True,
}


def build_model(
    architecture: str, weights: Mapping[str, torch.Tensor] | None, image_size_px: int | None = None
) -> SAM2Base:
    """Return the network in eval mode, on the CPU, in fp32.

    Args:
        architecture: `nano`, or a config of the sam2 package such as `sam2.1/sam2.1_hiera_l.yaml`.
        weights: Every parameter by name, loaded strictly; None leaves them random, for tests.
        image_size_px: Side of the square that the model sees; None is the architecture's own.

    Raises:
        WeightsError: The weights are not this architecture's; says what is missing and too much.
    """
    config = read_config(architecture)
    OmegaConf.update(config, "model", OFFICIAL_OVERRIDES, merge=True, force_add=True)
    if image_size_px is not None:
        config.model.image_size = image_size_px
    OmegaConf.resolve(config)
    model: SAM2Base = instantiate(config.model, _recursive_=True)
    if weights is not None:
        _load_strictly(model, weights, architecture)
    return model.eval().requires_grad_(False)


def read_config(architecture: str) -> DictConfig:
    if architecture == "nano":
        file = resources.files("pipeline.bundled") / "nano" / "sam2_nano.yaml"
    else:
        file = resources.files("sam2") / "configs" / architecture
    if not file.is_file():
        raise ValueError(f"model.architecture {architecture!r}: no such config in the sam2 package")
    with resources.as_file(file) as path:
        config = OmegaConf.load(path)
    if not isinstance(config, DictConfig):
        raise ValueError(f"model.architecture {architecture!r}: not a mapping")
    return config


def _load_strictly(model: SAM2Base, weights: Mapping[str, torch.Tensor], architecture: str) -> None:
    expected, given = model.state_dict(), weights
    missing, unexpected = sorted(expected.keys() - given.keys()), sorted(given.keys() - expected.keys())
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if missing or unexpected or misshapen:
        raise WeightsError(
            f"these weights are not those of {architecture}: "
            f"{len(missing)} tensors missing (such as {missing[:2]}), "
            f"{len(unexpected)} unknown (such as {unexpected[:2]}), "
            f"{len(misshapen)} of another shape (such as {misshapen[:2]}); "
            "choose the model that the file is for, or the file of that model"
        )
    model.load_state_dict(weights)
