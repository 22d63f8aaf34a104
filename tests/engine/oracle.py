"""The official `SAM2VideoPredictor`, run one object at a time on frames that we hand it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.sam2_video_predictor import SAM2VideoPredictor

from pipeline.engine.features import RGB_MEAN, RGB_STD
from pipeline.engine.sam2_model import OFFICIAL_OVERRIDES, read_config
from pipeline.engine.state import ConditioningFrame, ObjectState
from pipeline.records import Direction, Frame, Prompt


def official_predictor(model, architecture: str, fill_hole_area: int = 0) -> SAM2VideoPredictor:
    """Return the official predictor with the weights and the input size of one of our models."""
    config = read_config(architecture).model
    OmegaConf.update(config, "sam_mask_decoder_extra_args", {}, force_add=True)
    config = OmegaConf.merge(config, OFFICIAL_OVERRIDES)
    config._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    config.image_size = model.image_size
    predictor = instantiate(config, fill_hole_area=fill_hole_area)
    predictor.load_state_dict(model.state_dict())
    predictor.forward_image = _once_an_image(predictor.forward_image)
    return predictor.eval().requires_grad_(False)


def _once_an_image(forward_image: Callable[[torch.Tensor], dict]) -> Callable[[torch.Tensor], dict]:
    """Compute each image once: it is the same for all objects, and by far the most work."""
    known: dict[bytes, dict] = {}

    def remembered(image: torch.Tensor) -> dict:
        key = image.numpy().tobytes()
        if key not in known:
            known[key] = forward_image(image)
        return known[key]

    return remembered


def as_official_tensor(frame: Frame) -> torch.Tensor:
    """Return a frame as `load_video_frames_from_jpg_images` of sam2 makes it."""
    image = torch.zeros(3, *frame.image.shape[:2], dtype=torch.float32)
    image[:] = torch.from_numpy(frame.image / 255.0).permute(2, 0, 1)
    image -= torch.tensor(RGB_MEAN)[:, None, None]
    image /= torch.tensor(RGB_STD)[:, None, None]
    return image


class OfficialFrame(NamedTuple):
    """What the official predictor found on one frame, and what it had looked back at."""

    logits: torch.Tensor  # (height, width) at the video's size
    before: ObjectState | None  # in our form; None on frames that were prompted


def official_frames(
    predictor: SAM2VideoPredictor,
    frames: Sequence[Frame],
    prompts: Sequence[Prompt],
    masks: Mapping[Prompt, np.ndarray],
    direction: Direction = Direction.FORWARD,
) -> dict[int, OfficialFrame]:
    """Return by frame what becomes of the one object that is prompted."""
    state = official_state(predictor, frames)
    give_prompts(predictor, state, [p for p in prompts if not p.is_correction], masks)
    found = _tracked(predictor, state, direction=direction)
    # As a person would: look at all of it, correct a frame, and track on from there.
    predictor.add_all_frames_to_correct_as_cond = True
    for correction in sorted(
        (p for p in prompts if p.is_correction), key=lambda p: direction.step * p.frame_index
    ):
        give_prompts(predictor, state, [correction], masks)
        found |= _tracked(predictor, state, correction.frame_index, direction)
    return found


def official_state(predictor: SAM2VideoPredictor, frames: Sequence[Frame]) -> dict[str, Any]:
    """Return the predictor's state of a video that nothing was prompted in yet."""
    images = torch.stack([as_official_tensor(frame) for frame in frames])
    loaded = (images, *frames[0].video_size_hw)
    with mock.patch("sam2.sam2_video_predictor.load_video_frames", return_value=loaded):
        return predictor.init_state("")


def _tracked(
    predictor: SAM2VideoPredictor,
    state: dict,
    start: int | None = None,
    direction: Direction = Direction.FORWARD,
) -> dict[int, OfficialFrame]:
    found, before = {}, None
    for t, _, logits in predictor.propagate_in_video(state, start, reverse=direction is Direction.BACKWARD):
        outputs = state["output_dict_per_obj"][0]
        found[t] = OfficialFrame(logits[0, 0], None if t in outputs["cond_frame_outputs"] else before)
        before = _as_our_state(outputs, t, direction.step)
    return found


def official_logits(predictor, frames, prompts, masks) -> dict[int, torch.Tensor]:
    """Return (height, width) video-size mask logits by frame, of the one object that is prompted."""
    return {t: found.logits for t, found in official_frames(predictor, frames, prompts, masks).items()}


def _as_our_state(outputs: dict[str, dict[int, dict[str, Any]]], last: int, step: int) -> ObjectState:
    """Return what was remembered up to a frame; what an earlier pass left of later ones is not looked at."""
    bank = ObjectState(first_frame=min(outputs["cond_frame_outputs"]))
    for t, out in outputs["cond_frame_outputs"].items():
        scores = (out["object_score_logits"][0], torch.ones(1))
        bank.conditioning[t] = ConditioningFrame(
            _tokens(out["maskmem_features"]), out["obj_ptr"][0], out["pred_masks"][0], *scores
        )
    for t, out in sorted(outputs["non_cond_frame_outputs"].items(), key=lambda item: step * item[0]):
        if step * (t - last) > 0:
            break
        bank.remember(t, _tokens(out["maskmem_features"]), out["obj_ptr"][0])
    return bank


def _tokens(memory: torch.Tensor) -> torch.Tensor:
    """Return (token, channel) of (1, channel, height, width)."""
    return memory[0].flatten(1).T


def give_prompts(
    predictor: SAM2VideoPredictor,
    state: dict[str, Any],
    prompts: Sequence[Prompt],
    masks: Mapping[Prompt, np.ndarray],
) -> None:
    """Give the official predictor prompts; those in `masks` as that (height, width) bool mask."""
    for prompt in prompts:
        where = {"inference_state": state, "frame_idx": prompt.frame_index, "obj_id": prompt.object_id}
        if prompt in masks:
            predictor.add_new_mask(**where, mask=masks[prompt])
        else:
            predictor.add_new_points_or_box(
                **where,
                points=np.array(prompt.points_xy, np.float32) if prompt.points_xy else None,
                labels=np.array(prompt.point_labels, np.int32) if prompt.points_xy else None,
                box=None if prompt.box_xyxy is None else np.array(prompt.box_xyxy, np.float32),
            )
