"""All memory of the past: what is kept of each object, and how it becomes tensors to store.

What SAM 2 looks back at is little (`sam2_base.py`, `_prepare_memory_conditioned_features`): the
memories of all conditioning frames and of the last 6 others, and the object pointers of all
conditioning frames and of the last 15 others. Everything is keyed by absolute frame index, since
the model places memories by their distance in time and skips gaps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from pipeline.records import Direction

# `num_maskmem` - 1 and `max_obj_ptrs_in_encoder`, the same for every SAM 2 model.
MEMORY_SPAN_FRAMES = 6
# A video shorter than this has its pointers' positions scaled by its own length.
POINTER_SPAN_FRAMES = 16
NUMBERS = ("num_frames", "next_frame", "first_frame")  # of a video's state
FRAME_SETS = {"corrections": set, "anchors": frozenset}  # of an object's state


@dataclass(frozen=True)
class ConditioningFrame:
    """What an object's prompt on one frame led to: a memory, and the answer for that frame."""

    memory: torch.Tensor  # (token, memory channel) bf16, or fp16 in fp16
    pointer: torch.Tensor  # (channel,) float32
    mask_logits: torch.Tensor  # (1, height, width) float32, at a quarter of the model's input
    object_score: torch.Tensor  # (1,) float32
    iou_score: torch.Tensor  # (1,) float32


class Verdict(NamedTuple):
    """What a memory policy makes of a tracked frame of an object."""

    choice: int  # of the candidate masks
    keep: frozenset[int]  # frames whose memories later frames can look at
    anchors: frozenset[int]  # those of them that are looked at like key frames
    notes: dict[str, torch.Tensor]  # what the policy goes on from, on the CPU


@dataclass
class ObjectState:
    """The memory bank of one object."""

    conditioning: dict[int, ConditioningFrame] = field(default_factory=dict)
    memories: dict[int, torch.Tensor] = field(default_factory=dict)  # of tracked frames
    pointers: dict[int, torch.Tensor] = field(default_factory=dict)  # of tracked frames
    first_frame: int = 0  # the object's first key frame; it is tracked from there on
    corrections: set[int] = field(default_factory=set)  # conditioning frames that corrections made
    sightings: dict[int, torch.Tensor] = field(default_factory=dict)  # see engine/appearance.py
    anchors: frozenset[int] = frozenset()  # tracked frames that are looked at like key frames
    notes: dict[str, torch.Tensor] = field(default_factory=dict)  # of the memory policy

    def condition(self, frame_index: int, frame: ConditioningFrame, is_correction: bool = False) -> None:
        """Add a conditioning frame, in the official order: key frames first, then corrections."""
        self.conditioning[frame_index] = frame
        if is_correction:
            self.corrections.add(frame_index)
        order = sorted(self.conditioning, key=lambda t: (t in self.corrections, t))
        self.conditioning = {t: self.conditioning[t] for t in order}

    def remember(
        self, frame_index: int, memory: torch.Tensor, pointer: torch.Tensor, verdict: Verdict | None = None
    ) -> None:
        """Add a tracked frame and forget those that no later frame can look back at.

        Args:
            verdict: Of a memory policy; None is SAM 2's own way.
        """
        self.memories[frame_index] = memory
        self.pointers[frame_index] = pointer
        if verdict is None:
            _keep_near(self.memories, frame_index, MEMORY_SPAN_FRAMES)
        else:
            self.memories = {t: kept for t, kept in self.memories.items() if t in verdict.keep}
            self.anchors, self.notes = verdict.anchors, verdict.notes
        _keep_near(self.pointers, frame_index, POINTER_SPAN_FRAMES - 1, self.anchors)

    def keep(self, needed: set[int]) -> None:
        """Forget all conditioning frames but these."""
        if len(needed) < len(self.conditioning):
            self.conditioning = {t: frame for t, frame in self.conditioning.items() if t in needed}
            self.corrections &= needed

    def forget_tracked(self) -> None:
        """Forget all but what prompts led to."""
        self.memories.clear()
        self.pointers.clear()
        self.anchors, self.notes = frozenset(), {}


@dataclass
class VideoState:
    """The state of one video: store it between two frames, load it later, and go on as if never stopped."""

    num_frames: int = POINTER_SPAN_FRAMES  # of the video, or 16 if it has more: all that the model asks
    next_frame: int = 0
    objects: dict[int, ObjectState] = field(default_factory=dict)  # by object id, in rising order
    first_frame: int = 0  # that is tracked
    direction: Direction = Direction.FORWARD

    @property
    def frames_done(self) -> int:
        return abs(self.next_frame - self.first_frame)

    def forget_tracked(self) -> None:
        """Let all objects be sought by what prompts led to alone, as after a cut."""
        for bank in self.objects.values():
            bank.forget_tracked()

    @property
    def position(self) -> int:
        """Where in the video tracking is, as a number that rises: backwards, how many frames are done."""
        return self.next_frame if self.direction is Direction.FORWARD else self.frames_done

    def condition(self, object_id: int, frame_index: int, frame: ConditioningFrame) -> None:
        """Add a key frame of an object; a reference has a negative index, as if it came before the video."""
        starts = max(0, frame_index)
        if object_id not in self.objects:
            self.objects[object_id] = ObjectState(first_frame=starts)
            self.objects = dict(sorted(self.objects.items()))
        bank = self.objects[object_id]
        bank.first_frame = min(bank.first_frame, starts)
        bank.condition(frame_index, frame)

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return everything as named tensors on the CPU, for any store that keeps tensors."""
        numbers = {name: getattr(self, name) for name in NUMBERS} | {"step": self.direction.step}
        named = {name: torch.tensor(number) for name, number in numbers.items()}
        for object_id, state in self.objects.items():
            named[f"{object_id}/first_frame"] = torch.tensor(state.first_frame)
            for name in FRAME_SETS:
                frames = sorted(getattr(state, name))
                named[f"{object_id}/{name}"] = torch.tensor(frames, dtype=torch.int64)
            named |= {f"{object_id}/notes/{name}": note for name, note in state.notes.items()}
            for frame_index, frame in state.conditioning.items():
                for name, tensor in vars(frame).items():
                    named[f"{object_id}/conditioning/{frame_index}/{name}"] = tensor
            for kind in ("memories", "pointers", "sightings"):
                for frame_index, tensor in getattr(state, kind).items():
                    named[f"{object_id}/{kind}/{frame_index}"] = tensor
        return {name: tensor.cpu().contiguous() for name, tensor in named.items()}

    @classmethod
    def from_tensors(cls, named: Mapping[str, torch.Tensor], device: torch.device) -> "VideoState":
        """Return the state that `to_tensors` gave, on `device`."""
        state = cls(direction=next(d for d in Direction if d.step == int(named["step"])))
        for name in NUMBERS:
            setattr(state, name, int(named[name]))
        conditioning: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
        for name, tensor in named.items():
            match name.split("/"):
                case [object_id, "first_frame"]:
                    state.objects.setdefault(int(object_id), ObjectState()).first_frame = int(tensor)
                case [object_id, frames] if frames in FRAME_SETS:
                    bank = state.objects.setdefault(int(object_id), ObjectState())
                    setattr(bank, frames, FRAME_SETS[frames](tensor.tolist()))
                case [object_id, "notes", note]:
                    state.objects.setdefault(int(object_id), ObjectState()).notes[note] = tensor.cpu()
                case [object_id, "conditioning", frame_index, part]:
                    parts = conditioning.setdefault((int(object_id), int(frame_index)), {})
                    parts[part] = tensor.to(device)
                case [object_id, kind, frame_index]:
                    bank = state.objects.setdefault(int(object_id), ObjectState())
                    getattr(bank, kind)[int(frame_index)] = tensor.to(device)
        for (object_id, frame_index), parts in conditioning.items():
            state.objects[object_id].condition(frame_index, ConditioningFrame(**parts))
        state.objects = dict(sorted(state.objects.items()))
        return state


def _keep_near(
    bank: dict[int, torch.Tensor], frame_index: int, frames: int, besides: frozenset[int] = frozenset()
) -> None:
    """Keep so many frames, the newest one among them, and others besides; a bank is of one direction."""
    for old in [t for t in bank if abs(frame_index - t) >= frames and t not in besides]:
        del bank[old]
