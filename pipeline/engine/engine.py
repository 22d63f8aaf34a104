"""SAM 2 over videos, many objects and several videos at a time.

    features = engine.encode([frame, ..])                     frames of any videos
    engine.condition(state, object_id, features, prompt)      once a key frame, before the first step
    engine.correct(state, object_id, features, prompt)        once a correction, before its frame's step
    outputs = engine.step([(state, features), ..])            once a frame, in order; one pair a video
    masks = engine.masks(output)                              when they are wanted, from any thread

The engine itself remembers nothing: all that the past left is in the `VideoState` of the caller.
Objects share a frame's features and nothing else, so one tracked alone gets the masks it gets
among others, of its own video or of any (unless non-overlap is asked for).
"""

import copy
import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.engine.candidates import HeadOutput
from pipeline.engine.captured import Captured
from pipeline.engine.config import (
    DTYPE,
    EngineConfig,
    TrackingConfig,
    choose_device,
    refuse_capture_with_policy,
)
from pipeline.engine.cpu_tuning import keep_freed_memory, tune_thread
from pipeline.engine.features import FrameFeatures, encode_frames
from pipeline.engine.frame_step import Found, FrameOutput, FrameStep
from pipeline.engine.lanes import Lane, LookBack, Reach, batches, look_back, padded_size
from pipeline.engine.memory_policy import JUDGES, decode_by, track_by
from pipeline.engine.network import Network
from pipeline.engine.packing import can_pack, pack
from pipeline.engine.prompt_heads import prompt_heads, refine, segment_prompt
from pipeline.engine.prompts import DensePrompt, PointPrompt
from pipeline.engine.regions import clean_regions
from pipeline.engine.run_lengths import run_lengths
from pipeline.engine.stability import stability_scores
from pipeline.engine.state import ConditioningFrame, Verdict, VideoState
from pipeline.engine.streams import SideStream
from pipeline.engine.tracking import LaneTensors, remember_prompted, track
from pipeline.engine.video_masks import to_video_masks
from pipeline.errors import UsageError
from pipeline.records import Frame, FrameMasks

logger = logging.getLogger(__name__)


class Engine:
    """One SAM 2 model on one device."""

    def __init__(self, model: SAM2Base, config: EngineConfig, tracking: TrackingConfig | None = None):
        """Take a copy of `model`, which is left as it is."""
        self.config, self.tracking = config, tracking or TrackingConfig()
        refuse_capture_with_policy(self.config, self.tracking)
        self.device = choose_device(config.device)
        if config.capture and self.device.type != "cuda":
            raise UsageError(f"engine.capture=true needs a CUDA device, got {self.device.type}")
        self.judge = JUDGES.get(self.tracking.memory)
        if self.device.type == "cpu":
            tune_thread()
            keep_freed_memory()
        self.dtype = DTYPE[config.precision]
        self.outputs, self.uploads = SideStream(self.device), SideStream(self.device)
        self.image_size_px: int = model.image_size
        self.state_device = self.device  # where the past is kept
        self.heads = prompt_heads(copy.deepcopy(model)).to(self.device)
        network = Network(copy.deepcopy(model)).to(self.device, self.dtype)
        if self.device.type == "cpu":
            if can_pack(self.dtype):
                pack(network)
            elif self.dtype is not torch.float32:
                logger.warning(
                    "this CPU has no instructions for precision=%s: fp32 is several times faster here",
                    config.precision.value,
                )
        self.run_through(network)

    def run_through(self, network: Network) -> None:
        """Compute with this network from now on."""
        self.network = network
        self._encode_images, self._track = network.encode, partial(track, network)
        if self.config.capture:
            self._encode_images = Captured(self._encode_images, "the encoder", self.config.compile)
            self._track = Captured(self._track, "the tracker", self.config.compile)

    @property
    def videos_in_flight(self) -> int:
        """How many videos keep this device busy."""
        return self.config.videos_in_flight or self._at_once

    @property
    def frames_at_once(self) -> int:
        """How many consecutive frames of a video to encode together."""
        return self.config.frames_at_once or self._at_once

    def teams(self, cores: int) -> int:
        """Return how many threads should compute side by side, sharing so many cores of the CPU."""
        if self.device.type != "cpu":
            return 1  # work on a device is done in the order that it is asked for
        return min(self.config.teams or 2, cores)

    def memory_share(self) -> float:
        """Return how much of the device's memory is taken, 0 to 1; always 0 on a CPU."""
        if self.device.type != "cuda":
            return 0.0
        free_bytes, total_bytes = torch.cuda.mem_get_info(self.device)
        reserved, allocated = (
            torch.cuda.memory_reserved(self.device),
            torch.cuda.memory_allocated(self.device),
        )
        return 1 - (free_bytes + reserved - allocated) / total_bytes

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
        padded = self.frames_at_once if self.config.capture else len(frames)
        return encode_frames(self._encode_images, frames, padded, self.uploads, self.dtype)

    @torch.inference_mode()
    def condition(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Make a frame a conditioning frame of an object.

        All prompts of an object come before its first step: every frame then looks at all of
        them, later ones included, as with the official predictor. With `max_conditioning_frames`, only as
        many that are still to come need to be there as that allows.
        """
        state.condition(object_id, features.frame_index, self.look_at(features, prompt))

    @torch.inference_mode()
    def look_at(self, features: FrameFeatures, prompt: PointPrompt | DensePrompt) -> ConditioningFrame:
        """Return what a prompt leads to on its frame, as SAM sees it on an image."""
        return self._remembered(features, segment_prompt(self.heads, features.shared, prompt))

    @torch.inference_mode()
    def correct(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Correct what tracking finds of an object on its next frame, just before its step.

        Points refine what is found there, a mask takes its place; the frame conditions all later ones. As the
        official predictor with `add_all_frames_to_correct_as_cond` does it when all has been tracked, a frame
        is corrected, and the rest is tracked again.
        """
        bank = state.objects[object_id]
        if isinstance(prompt, DensePrompt):
            bank.condition(features.frame_index, self.look_at(features, prompt), is_correction=True)
            return
        step = state.direction.step
        lane = Lane(bank, features, state.num_frames, step)
        past = look_back(bank, features.frame_index, state.num_frames, self._reach, step)
        tensors = LaneTensors.of([lane], [past], 1)
        recalled = self.network.recall(tensors.shared, self.network.look_back(*tensors[1:]))
        if self.judge:
            found, _ = decode_by(self.judge, self.network, [lane], tensors.shared, recalled)
        else:
            found = self.network.decode(tensors.shared, recalled)
        out = refine(self.heads, features.shared, recalled[0], self._clean(found.mask_logits), prompt)
        bank.condition(features.frame_index, self._remembered(features, out), is_correction=True)

    def _remembered(self, features: FrameFeatures, out: HeadOutput) -> ConditioningFrame:
        logits = self._clean(out.mask_logits)
        memory = remember_prompted(self.network, features.shared, logits, out.object_score)
        return ConditioningFrame(
            self._as_stored(memory[0]), out.pointer[0], logits[0], out.object_score[0], out.iou_score[0]
        )

    def step(self, work: Sequence[tuple[VideoState, FrameFeatures]]) -> list[FrameOutput]:
        """Find all objects whose first prompt is not later than their video's frame, and remember them.

        Args:
            work: Each video once, with the frame that is next in it.
        """
        steps = [FrameStep.begin(state, features) for state, features in work]
        found = iter(self.track([lane for step in steps for lane in step.lanes]))
        most = self.tracking.max_conditioning_frames
        return [step.finish([next(found) for _ in step.lanes], most) for step in steps]

    @torch.inference_mode()
    def track(self, lanes: Sequence[Lane]) -> list[Found]:
        """Find objects of any videos; return what each is to remember too, one a lane.

        Nothing is remembered here: where a part of the lanes fails, all may be tracked again.
        """
        found: dict[int, Found] = {}
        for batch in batches(lanes, self.config.lanes_at_once, self._reach):
            members = [lanes[i] for i, _ in batch]
            out, memories, verdicts = self._track_batch(members, [past for _, past in batch])
            # A padded batch has more outputs than members.
            for (i, _), memory, verdict, *head in zip(
                batch, self._as_stored(memories), verdicts, *out, strict=False
            ):
                output = HeadOutput(*head)
                kept = memory.to(self.state_device), output.pointer.to(self.state_device)
                found[i] = Found(output, *kept, verdict)
        return [found[i] for i in range(len(lanes))]

    def _track_batch(
        self, lanes: Sequence[Lane], pasts: Sequence[LookBack]
    ) -> tuple[HeadOutput, torch.Tensor, Sequence[Verdict | None]]:
        tensors = LaneTensors.of(lanes, pasts, self._padded(len(lanes)))
        if self.judge:
            return track_by(self.judge, self.network, lanes, tensors)
        out, memories = self._track(*tensors.shared, *tensors[1:])
        return out, memories, [None] * len(lanes)

    @torch.inference_mode()
    def masks(self, output: FrameOutput) -> FrameMasks:
        """Return the masks at the video's own size; on CUDA computed beside the next frames, on a stream."""
        with self.outputs.beside([tensor for head in output.heads for tensor in head]):
            return FrameMasks(
                frame_index=output.frame_index,
                time_seconds=output.time_seconds,
                object_ids=output.object_ids,
                rles=tuple(run_lengths(self.video_masks(output))),
                object_scores=_column([head.object_score for head in output.heads]),
                iou_scores=_column([head.iou_score for head in output.heads]),
                prompted=np.array(output.prompted, bool),
                stability_scores=_stability(output),
            )

    @torch.inference_mode()
    def video_masks(self, output: FrameOutput) -> torch.Tensor:
        """Return masks, (object, height, width) bool, at the video's own size and still on the device."""
        if not output.heads:
            return torch.zeros(0, *output.video_size_hw, dtype=torch.bool)
        logits = self._clean(torch.stack([head.mask_logits for head in output.heads]))
        return to_video_masks(logits, output.video_size_hw, self.config.non_overlap)

    @property
    def _reach(self) -> Reach:
        """How far back frames look."""
        most = self.tracking.max_conditioning_frames
        return Reach(self.config.memory_frames, most, ranked=self.judge is not None)

    def _padded(self, lanes: int) -> int:
        return padded_size(lanes, self.config.lanes_at_once) if self.config.capture else lanes

    def _clean(self, logits: torch.Tensor) -> torch.Tensor:
        return clean_regions(logits, self.config.max_hole_px, self.config.max_speck_px)

    def _as_stored(self, memory: torch.Tensor) -> torch.Tensor:
        """Return memories as the official predictor stores them: in bf16 whatever it computes in."""
        return memory if self.dtype == torch.float16 else memory.to(torch.bfloat16)


def _stability(output: FrameOutput) -> np.ndarray:
    if not output.heads:
        return np.zeros(0, np.float32)
    return stability_scores(torch.stack([head.mask_logits for head in output.heads]))


def _column(values: list[torch.Tensor]) -> np.ndarray:
    """Return one number an object as (object,) float32."""
    if not values:
        return np.zeros(0, np.float32)
    return torch.cat(values).float().cpu().numpy()
