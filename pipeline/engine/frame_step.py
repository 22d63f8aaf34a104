"""One video's step: which of its objects are to be found on its next frame, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from pipeline.engine.candidates import HeadOutput
from pipeline.engine.features import FrameFeatures
from pipeline.engine.lanes import Lane, needed
from pipeline.engine.state import ObjectState, Verdict, VideoState
from pipeline.records import Direction


class Found(NamedTuple):
    """What tracking found of one lane's object, and what the object is to remember of it."""

    head: HeadOutput
    memory: torch.Tensor  # (token, memory channel)
    pointer: torch.Tensor  # (channel,)
    verdict: Verdict | None = None  # of a memory policy


@dataclass(frozen=True)
class FrameOutput:
    """What a step found on one frame, still on the device and of low resolution."""

    frame_index: int
    time_seconds: float
    video_size_hw: tuple[int, int]
    object_ids: tuple[int, ...]
    heads: tuple[HeadOutput, ...]  # one an object, without a lane dimension
    prompted: tuple[bool, ...]  # one an object


@dataclass(frozen=True)
class FrameStep:
    """A step that has begun: its lanes are yet to be tracked."""

    state: VideoState
    features: FrameFeatures
    banks: dict[int, ObjectState]  # of all objects that the frame can have, by object id
    lanes: list[Lane]  # of those that this frame is no prompt of

    @classmethod
    def begin(cls, state: VideoState, features: FrameFeatures) -> "FrameStep":
        frame_index, step = features.frame_index, state.direction.step
        banks = {i: b for i, b in state.objects.items() if step * (frame_index - b.first_frame) >= 0}
        lanes = [
            Lane(bank, features, state.num_frames, step)
            for bank in banks.values()
            if frame_index not in bank.conditioning
        ]
        return cls(state, features, banks, lanes)

    def finish(self, found: Sequence[Found], max_conditioning: int | None = None) -> FrameOutput:
        """Take what was found, one a lane, and remember it.

        Args:
            max_conditioning: How many conditioning frames later frames will look at; None: all.
        """
        frame = self.features
        for lane, one in zip(self.lanes, found, strict=True):
            lane.bank.remember(frame.frame_index, one.memory, one.pointer, one.verdict)
        self.state.next_frame = frame.frame_index + self.state.direction.step
        tracked = iter([one.head for one in found])
        prompted = tuple(frame.frame_index in bank.conditioning for bank in self.banks.values())
        all_heads = tuple(
            _known(bank, frame.frame_index) if known else next(tracked)
            for bank, known in zip(self.banks.values(), prompted, strict=True)
        )
        if max_conditioning is not None and self.state.direction is Direction.FORWARD:
            for bank in self.banks.values():
                bank.keep(needed(list(bank.conditioning), self.state.next_frame, max_conditioning))
        return FrameOutput(
            frame.frame_index, frame.time_seconds, frame.video_size_hw, tuple(self.banks), all_heads, prompted
        )


def _known(bank: ObjectState, frame_index: int) -> HeadOutput:
    """Return what a prompt led to."""
    known = bank.conditioning[frame_index]
    return HeadOutput(known.mask_logits, known.pointer, known.object_score, known.iou_score)
