"""Frames and prompts that the engine's tests share: a disc and a box that move over a texture."""

import copy
from collections.abc import Sequence
from importlib import resources

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from pipeline.engine.candidates import HeadOutput
from pipeline.engine.config import EngineConfig, Precision, TrackingConfig
from pipeline.engine.engine import Engine
from pipeline.engine.frame_step import FrameOutput
from pipeline.engine.network import Network
from pipeline.engine.prompts import dense_prompt, point_prompt
from pipeline.engine.sam2_model import build_model
from pipeline.engine.state import VideoState
from pipeline.engine.video_masks import video_logits
from pipeline.records import Direction, Frame, Prompt, Rle

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


# What most tests prompt: the disc by its mask on frame 0, the square by a box on frame 3.
DISC = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
SQUARE = Prompt(2, 3, box_xyxy=(102, 48, 126, 72))
MASKS = {DISC: disc(0)}


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
    """Give the engine all prompts that are no corrections, each on its frame."""
    for prompt in prompts:
        if not prompt.is_correction:
            (features,) = engine.encode([frames[prompt.frame_index]])
            engine.condition(state, prompt.object_id, features, model_prompt(engine, prompt, masks))


def model_prompt(engine: Engine, prompt: Prompt, masks):
    """Return a prompt as the engine takes it; those in `masks` as that (height, width) bool mask."""
    if prompt in masks:
        return dense_prompt(masks[prompt], engine.image_size_px)
    return point_prompt(prompt, SIZE_HW, engine.image_size_px)


def track(engine: Engine, state: VideoState, frame: Frame, prompts=(), masks=None) -> FrameOutput:
    """Track one video through one frame, with the corrections that fall on it."""
    (features,) = engine.encode([frame])
    for prompt in prompts:
        if prompt.is_correction and prompt.frame_index == frame.index:
            engine.correct(state, prompt.object_id, features, model_prompt(engine, prompt, masks or {}))
    return engine.step([(state, features)])[0]


def propagate(
    engine: Engine,
    frames: Sequence[Frame],
    prompts: Sequence[Prompt],
    masks=None,
    direction: Direction = Direction.FORWARD,
):
    """Run all frames and return (masks of each frame, video-size logits by object and frame)."""
    state = VideoState(num_frames=min(len(frames), 16), direction=direction)
    condition(engine, state, frames, prompts, masks or {})
    start = min(p.frame_index for p in prompts if not p.is_correction)
    passed = frames[start:] if direction is Direction.FORWARD else frames[start::-1]
    outputs = [track(engine, state, frame, prompts, masks) for frame in passed]
    logits = {
        (object_id, output.frame_index): logits_of(engine, head)
        for output in outputs
        for object_id, head in zip(output.object_ids, output.heads, strict=True)
    }
    return [engine.masks(output) for output in outputs], logits


def logits_of(engine: Engine, head: HeadOutput) -> torch.Tensor:
    """Return an object's (height, width) logits at the video's size, cleaned as its mask is."""
    return video_logits(engine._clean(head.mask_logits[None]), SIZE_HW, False)[0, 0]


def engine_of(model, tracking: TrackingConfig | None = None, **config) -> Engine:
    return Engine(model, EngineConfig(**{**FP32, **config}), tracking)


def exact_engine(model) -> Engine:
    """Return an engine that computes in float64, to measure the rounding of others by."""
    engine = engine_of(model)
    engine.run_through(Network(copy.deepcopy(model)).double())
    engine.dtype = torch.float64
    return engine
