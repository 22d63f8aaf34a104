"""SAM 2 over videos, many objects and several videos at a time.

    features = engine.encode([frame, ..])                     frames of any videos
    engine.condition(state, object_id, features, prompt)      once a prompt, before the first step
    outputs = engine.step([(state, features), ..])            once a frame, in order; one pair a video
    masks = engine.masks(output)                              when they are wanted, from any thread

The engine itself remembers nothing: all that the past left is in the `VideoState` of the caller.
Objects share a frame's features and nothing else, so one tracked alone gets the masks it gets
among others, of its own video or of any (unless non-overlap is asked for).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.engine.cpu_tuning import keep_freed_memory, tune_thread
from pipeline.engine.features import FrameFeatures, encode_frames
from pipeline.engine.lanes import Lane, batches
from pipeline.engine.mask_decoder import HeadOutput
from pipeline.engine.network import Network
from pipeline.engine.packing import can_pack, pack
from pipeline.engine.prompt_heads import prompt_heads, segment_prompt
from pipeline.engine.prompts import DensePrompt, PointPrompt
from pipeline.engine.regions import clean_regions
from pipeline.engine.state import ConditioningFrame, ObjectState, VideoState
from pipeline.engine.tracking import remember_prompted, track
from pipeline.engine.video_masks import to_video_masks
from pipeline.records import Frame, FrameMasks


class Precision(str, Enum):  # in small letters, since that is what users write: OmegaConf goes by name
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


DTYPE = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}


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
    videos_in_flight: int | None = None  # that one worker follows at a time; None: 1 on a CPU, else 8
    frames_at_once: int | None = None  # that are encoded together; None: 1 on a CPU, else 8
    lanes_at_once: int = 16  # objects, of any videos, that are tracked together

    def __post_init__(self):
        for name in ("videos_in_flight", "frames_at_once", "lanes_at_once"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"engine.{name} must be 1 or more, got {value}")
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


@dataclass(frozen=True)
class FrameOutput:
    """What a step found on one frame, still on the device and of low resolution."""

    features: FrameFeatures
    object_ids: tuple[int, ...]
    heads: tuple[HeadOutput, ...]  # one an object, without a lane dimension
    prompted: tuple[bool, ...]  # one an object


class Engine:
    """One SAM 2 model on one device."""

    def __init__(self, model: SAM2Base, config: EngineConfig):
        """Take a copy of `model`, which is left as it is."""
        self.config = config
        self.device = choose_device(config.device)
        if self.device.type == "cpu":
            tune_thread()
            keep_freed_memory()
        self.dtype = DTYPE[config.precision]
        self.image_size_px: int = model.image_size
        self.heads = prompt_heads(copy.deepcopy(model)).to(self.device)
        self.network = Network(copy.deepcopy(model)).to(self.device, self.dtype)
        if self.device.type == "cpu" and can_pack(self.dtype):
            pack(self.network)

    @property
    def videos_in_flight(self) -> int:
        """How many videos keep this device busy."""
        return self.config.videos_in_flight or self._at_once

    @property
    def frames_at_once(self) -> int:
        """How many consecutive frames of a video to encode together."""
        return self.config.frames_at_once or self._at_once

    @property
    def _at_once(self) -> int:
        # A CPU gains nothing by batches: one frame keeps all its cores busy.
        return 1 if self.device.type == "cpu" else 8

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> list[FrameFeatures]:
        """Return the features of frames whose images are (image_size_px, image_size_px, 3).

        Raises:
            ValueError: An image has another size.
        """
        side = self.image_size_px
        for frame in frames:
            if frame.image.shape[:2] != (side, side):
                raise ValueError(
                    f"frame {frame.index}: the model sees {side}x{side} px, got {frame.image.shape[:2]}"
                )
        return [
            features
            for start in range(0, len(frames), self.frames_at_once)
            for features in self._encode(frames[start : start + self.frames_at_once])
        ]

    def _encode(self, frames: Sequence[Frame]) -> list[FrameFeatures]:
        return encode_frames(self.network, frames, self.device, self.dtype)

    @torch.inference_mode()
    def condition(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Make a frame a conditioning frame of an object.

        All prompts of an object come before its first step: every frame then looks at all of
        them, later ones included, as with the official predictor.
        """
        out = segment_prompt(self.heads, features.shared, prompt)
        logits = self._clean(out.mask_logits)
        memory = remember_prompted(self.network, features.shared, logits, out.object_score)
        bank = state.objects.setdefault(object_id, ObjectState())
        bank.conditioning[features.frame_index] = ConditioningFrame(
            self._as_stored(memory[0]), out.pointer[0], logits[0], out.object_score[0], out.iou_score[0]
        )

    @torch.inference_mode()
    def step(self, work: Sequence[tuple[VideoState, FrameFeatures]]) -> list[FrameOutput]:
        """Find all objects whose first prompt is not later than their video's frame, and remember them.

        Args:
            work: Each video once, with the frame that is next in it.
        """
        started = [
            {i: bank for i, bank in state.objects.items() if bank.first_frame <= features.frame_index}
            for state, features in work
        ]
        lanes = {
            (video, object_id): Lane(bank, features, state.num_frames)
            for video, ((state, features), banks) in enumerate(zip(work, started, strict=True))
            for object_id, bank in banks.items()
            if features.frame_index not in bank.conditioning
        }
        heads = dict(zip(lanes, self._track(list(lanes.values())), strict=True))
        for state, features in work:
            state.next_frame = features.frame_index + 1
        return [
            _frame_output(features, banks, {i: heads.get((video, i)) for i in banks})
            for video, ((_, features), banks) in enumerate(zip(work, started, strict=True))
        ]

    def _track(self, lanes: Sequence[Lane]) -> list[HeadOutput]:
        """Compute lanes in batches and let each remember; return one output a lane."""
        outputs: dict[int, HeadOutput] = {}
        for batch in batches(lanes, self.config.lanes_at_once):
            members = [lanes[i] for i, _ in batch]
            out, memories = track(self.network, members, [past for _, past in batch])
            memories = self._as_stored(memories)
            for (i, _), lane, memory, *head in zip(batch, members, memories, *out, strict=True):
                outputs[i] = HeadOutput(*head)
                lane.bank.remember(lane.features.frame_index, memory, outputs[i].pointer)
        return [outputs[i] for i in range(len(lanes))]

    @torch.inference_mode()
    def masks(self, output: FrameOutput) -> FrameMasks:
        """Return the masks at the video's own size."""
        features, heads = output.features, output.heads
        height, width = features.video_size_hw
        masks = np.zeros((0, height, width), bool)
        if heads:
            logits = self._clean(torch.stack([head.mask_logits for head in heads]))
            masks = to_video_masks(logits, features.video_size_hw, self.config.non_overlap)
        return FrameMasks(
            frame_index=features.frame_index,
            time_seconds=features.time_seconds,
            object_ids=output.object_ids,
            masks=masks,
            object_scores=_column([head.object_score for head in heads]),
            iou_scores=_column([head.iou_score for head in heads]),
            prompted=np.array(output.prompted, bool),
        )

    def _clean(self, logits: torch.Tensor) -> torch.Tensor:
        return clean_regions(logits, self.config.max_hole_px, self.config.max_speck_px)

    def _as_stored(self, memory: torch.Tensor) -> torch.Tensor:
        """Return memories as the official predictor stores them: in bf16 whatever it computes in."""
        return memory if self.dtype == torch.float16 else memory.to(torch.bfloat16)


def _frame_output(
    features: FrameFeatures, banks: dict[int, ObjectState], tracked: dict[int, HeadOutput | None]
) -> FrameOutput:
    heads = [tracked[i] or _known(bank, features.frame_index) for i, bank in banks.items()]
    prompted = tuple(tracked[i] is None for i in banks)
    return FrameOutput(features, tuple(banks), tuple(heads), prompted)


def _known(bank: ObjectState, frame_index: int) -> HeadOutput:
    """Return what a prompt led to."""
    known = bank.conditioning[frame_index]
    return HeadOutput(known.mask_logits, known.pointer, known.object_score, known.iou_score)


def _column(values: list[torch.Tensor]) -> np.ndarray:
    """Return one number an object as (object,) float32."""
    if not values:
        return np.zeros(0, np.float32)
    return torch.cat(values).float().cpu().numpy()
