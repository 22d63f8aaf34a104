"""SAM 2 over a video, one frame at a time.

    features = engine.encode(image)
    engine.condition(state, features, prompt)     once a prompt, before the first step
    masks = engine.step(state, features)          once a frame, in order

The engine itself remembers nothing: all that the past left is in the `VideoState` of the caller.
Objects share a frame's features and nothing else, so one tracked alone gets the masks it gets
among others (unless non-overlap is asked for).
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.engine.features import FrameFeatures, encode_image
from pipeline.engine.prompts import DensePrompt, PointPrompt
from pipeline.engine.regions import clean_regions
from pipeline.engine.state import ConditioningFrame, ObjectState, VideoState
from pipeline.engine.tracking import HeadOutput, encode_memory, segment_prompt, track
from pipeline.engine.video_masks import to_video_masks
from pipeline.records import Frame, FrameMasks


class Precision(str, Enum):  # in small letters, since that is what users write: OmegaConf goes by name
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


AUTOCAST_DTYPE = {Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}


class DeviceChoice(str, Enum):
    auto = "auto"
    cuda = "cuda"
    cpu = "cpu"
    mps = "mps"


@dataclass
class EngineConfig:
    """Where and how precisely the engine computes, and what is done to its masks."""

    device: DeviceChoice = DeviceChoice.auto
    precision: Precision = Precision.bf16
    max_hole_px: int = 8  # holes up to this are filled, counted at a quarter of the model's input size
    max_speck_px: int = 0  # specks up to this are removed, counted likewise
    non_overlap: bool = False  # give each pixel to the object that is surest of it

    def __post_init__(self):
        if self.max_hole_px < 0 or self.max_speck_px < 0:
            raise ValueError(
                "engine.max_hole_px and engine.max_speck_px must be 0 or more, "
                f"got {self.max_hole_px} and {self.max_speck_px}"
            )


def choose_device(choice: DeviceChoice) -> torch.device:
    """Return the device asked for; `auto` is CUDA where there is one, otherwise the CPU."""
    if choice is DeviceChoice.auto:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(choice.value)


class Engine:
    """One SAM 2 model on one device."""

    def __init__(self, model: SAM2Base, config: EngineConfig):
        self.device = choose_device(config.device)
        self.model = model.to(self.device)
        self.config = config

    @property
    def image_size_px(self) -> int:
        """Side of the square image that `encode` takes."""
        return self.model.image_size

    @torch.inference_mode()
    def encode(self, frame: Frame) -> FrameFeatures:
        """Return the features of a frame whose image is (image_size_px, image_size_px, 3)."""
        with self._autocast():
            return encode_image(self.model, frame, self.device)

    @torch.inference_mode()
    def condition(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Make a frame a conditioning frame of an object.

        All prompts of an object come before its first step: every frame then looks at all of
        them, later ones included, as with the official predictor.
        """
        with self._autocast():
            out = segment_prompt(self.model, features, prompt)
            logits = self._clean(out.mask_logits)
            memory = encode_memory(self.model, features, logits, out.object_score)
        bank = state.objects.setdefault(object_id, ObjectState())
        bank.conditioning[features.frame_index] = ConditioningFrame(
            memory, out.pointer, logits, out.object_score, out.iou_score
        )

    @torch.inference_mode()
    def step(self, state: VideoState, features: FrameFeatures) -> FrameMasks:
        """Segment all objects whose first prompt is not later than this frame, and remember it."""
        started = {i: o for i, o in state.objects.items() if o.first_frame <= features.frame_index}
        with self._autocast():
            outputs = [self._step_object(bank, state.num_frames, features) for bank in started.values()]
        state.next_frame = features.frame_index + 1
        return self._frame_masks(started, outputs, features)

    def _step_object(self, bank: ObjectState, num_frames: int, features: FrameFeatures) -> HeadOutput:
        known = bank.conditioning.get(features.frame_index)
        if known is not None:
            return HeadOutput(known.mask_logits, known.pointer, known.object_score, known.iou_score)
        out, memory = track(self.model, features, bank, num_frames)
        bank.remember(
            features.frame_index,
            memory,
            out.pointer,
            memories=self.model.num_maskmem - 1,
            pointers=self.model.max_obj_ptrs_in_encoder - 1,
        )
        return out._replace(mask_logits=self._clean(out.mask_logits))

    def _frame_masks(
        self, started: dict[int, ObjectState], outputs: list[HeadOutput], features: FrameFeatures
    ) -> FrameMasks:
        height, width = features.video_size_hw
        masks = np.zeros((0, height, width), bool)
        if outputs:
            logits = torch.cat([out.mask_logits for out in outputs])
            masks = to_video_masks(self.model, logits, features.video_size_hw, self.config.non_overlap)
        return FrameMasks(
            frame_index=features.frame_index,
            time_seconds=features.time_seconds,
            object_ids=tuple(started),
            masks=masks,
            object_scores=_column([out.object_score for out in outputs]),
            iou_scores=_column([out.iou_score for out in outputs]),
            prompted=np.array([features.frame_index in o.conditioning for o in started.values()], bool),
        )

    def _clean(self, logits: torch.Tensor) -> torch.Tensor:
        return clean_regions(logits, self.config.max_hole_px, self.config.max_speck_px)

    def _autocast(self) -> AbstractContextManager:
        dtype = AUTOCAST_DTYPE.get(self.config.precision)
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()


def _column(values: list[torch.Tensor]) -> np.ndarray:
    """Return one number an object as (object,) float32."""
    if not values:
        return np.zeros(0, np.float32)
    return torch.cat(values).flatten().float().cpu().numpy()
