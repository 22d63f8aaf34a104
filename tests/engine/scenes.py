"""Frames and prompts that the engine's tests share: a disc and a box that move over a texture."""

from collections.abc import Sequence
from importlib import resources

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from pipeline.engine.engine import Engine, EngineConfig, Precision
from pipeline.engine.prompts import dense_prompt, point_prompt
from pipeline.engine.sam2_model import build_model
from pipeline.engine.state import VideoState
from pipeline.engine.video_masks import video_logits
from pipeline.records import Frame, Prompt

SIZE_HW = (90, 160)
FP32 = {"precision": Precision.fp32, "max_hole_px": 0}


def scene(num_frames: int, side_px: int) -> list[Frame]:
    """Return frames of a red disc moving right and a blue square moving left, at the model's size."""
    texture = np.random.default_rng(0).integers(60, 120, (*SIZE_HW, 3), dtype=np.uint8)
    return [_frame(t, texture, side_px) for t in range(num_frames)]


def disc(t: int) -> np.ndarray:
    """Return the disc's true mask on frame `t`."""
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return (rows - 30) ** 2 + (columns - 30 - 2 * t) ** 2 < 14**2


def square(t: int) -> np.ndarray:
    """Return the square's true mask on frame `t`."""
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return (abs(rows - 60) < 12) & (abs(columns - 120 + 2 * t) < 12)


def _frame(t: int, texture: np.ndarray, side_px: int) -> Frame:
    image = texture.copy()
    image[square(t)] = (40, 60, 220)
    image[disc(t)] = (220, 50, 40)
    return Frame(t, t / 30, np.asarray(Image.fromarray(image).resize((side_px, side_px))), SIZE_HW)


def nano_model():
    """Return the embedded model with its trained weights."""
    with resources.as_file(resources.files("pipeline.bundled") / "nano" / "sam2_nano.safetensors") as path:
        weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    return build_model("nano", weights)


def random_model(architecture: str, image_size_px: int):
    """Return a model with random weights, the same at every call, that finds its objects visible.

    Left to chance, most models see no object, and every logit of every frame is then -1024.
    """
    torch.manual_seed(0)
    model = build_model(architecture, None, image_size_px)
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 1
    return model


def condition(engine: Engine, state: VideoState, frames: Sequence[Frame], prompts, masks) -> None:
    """Give the engine all prompts, each on its frame."""
    for prompt in prompts:
        dense = masks.get(prompt)
        model_prompt = (
            point_prompt(prompt, SIZE_HW, engine.image_size_px)
            if dense is None
            else dense_prompt(dense, engine.image_size_px)
        )
        engine.condition(state, prompt.object_id, engine.encode(frames[prompt.frame_index]), model_prompt)


def propagate(engine: Engine, frames: Sequence[Frame], prompts: Sequence[Prompt], masks=None):
    """Run all frames and return (masks of each frame, video-size logits by object and frame)."""
    state = VideoState(num_frames=min(len(frames), 16))
    condition(engine, state, frames, prompts, masks or {})
    logits, results = {}, []
    outputs = _recorded_logits(engine)
    for frame in frames[min(p.frame_index for p in prompts) :]:
        result = engine.step(state, engine.encode(frame))
        at_video_size = video_logits(engine.model, outputs.pop(), SIZE_HW, False)
        logits.update({(o, frame.index): at_video_size[i, 0] for i, o in enumerate(result.object_ids)})
        results.append(result)
    return results, logits


def _recorded_logits(engine: Engine) -> list[torch.Tensor]:
    """Let the engine keep the logits that it makes masks of."""
    outputs = []
    original = engine._frame_masks

    def recording(started, heads, features):
        outputs.append(torch.cat([head.mask_logits for head in heads]))
        return original(started, heads, features)

    engine._frame_masks = recording
    return outputs


def engine_of(model, **config) -> Engine:
    return Engine(model, EngineConfig(**{**FP32, **config}))
