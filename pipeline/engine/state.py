"""All memory of the past: what is kept of each object, and how it becomes tensors to store.

What SAM 2 looks back at is little (`sam2_base.py`, `_prepare_memory_conditioned_features`): the
memories of all conditioning frames and of the last 6 others, and the object pointers of all
conditioning frames and of the last 15 others. Everything is keyed by absolute frame index, since
the model places memories by their distance in time and skips gaps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

# `num_maskmem` - 1 and `max_obj_ptrs_in_encoder`, the same for every SAM 2 model.
MEMORY_SPAN_FRAMES = 6
# A video shorter than this has its pointers' positions scaled by its own length.
POINTER_SPAN_FRAMES = 16


@dataclass(frozen=True)
class ConditioningFrame:
    """What an object's prompt on one frame led to: a memory, and the answer for that frame."""

    memory: torch.Tensor  # (token, memory channel) bf16, or fp16 in fp16
    pointer: torch.Tensor  # (channel,) float32
    mask_logits: torch.Tensor  # (1, height, width) float32, at a quarter of the model's input
    object_score: torch.Tensor  # (1,) float32
    iou_score: torch.Tensor  # (1,) float32


@dataclass
class ObjectState:
    """The memory bank of one object."""

    conditioning: dict[int, ConditioningFrame] = field(default_factory=dict)
    memories: dict[int, torch.Tensor] = field(default_factory=dict)  # of tracked frames
    pointers: dict[int, torch.Tensor] = field(default_factory=dict)  # of tracked frames
    sightings: dict[int, torch.Tensor] = field(default_factory=dict)  # see engine/appearance.py

    @property
    def first_frame(self) -> int:
        """The object's first prompt; it is tracked from there on."""
        return min(self.conditioning)

    def remember(self, frame_index: int, memory: torch.Tensor, pointer: torch.Tensor) -> None:
        """Add a tracked frame and forget those that no later frame can look back at."""
        self.memories[frame_index] = memory
        self.pointers[frame_index] = pointer
        _keep_after(self.memories, frame_index - MEMORY_SPAN_FRAMES)
        _keep_after(self.pointers, frame_index - POINTER_SPAN_FRAMES + 1)


@dataclass
class VideoState:
    """The state of one video: store it between two frames, load it later, and go on as if never stopped."""

    num_frames: int = POINTER_SPAN_FRAMES  # of the video, or 16 if it has more: all that the model asks
    next_frame: int = 0
    objects: dict[int, ObjectState] = field(default_factory=dict)  # by object id

    @property
    def first_frame(self) -> int:
        """The first frame that any object is tracked on."""
        return min(bank.first_frame for bank in self.objects.values())

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return everything as named tensors on the CPU, for any store that keeps tensors."""
        named = {"num_frames": torch.tensor(self.num_frames), "next_frame": torch.tensor(self.next_frame)}
        for object_id, state in self.objects.items():
            # Attention sums in the order that they were made in, and stores of tensors know no order.
            named[f"{object_id}/order"] = torch.tensor(list(state.conditioning))
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
        state = cls(int(named["num_frames"]), int(named["next_frame"]))
        conditioning: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
        orders: dict[int, list[int]] = {}
        for name, tensor in named.items():
            match name.split("/"):
                case [object_id, "order"]:
                    orders[int(object_id)] = tensor.tolist()
                case [object_id, "conditioning", frame_index, part]:
                    parts = conditioning.setdefault((int(object_id), int(frame_index)), {})
                    parts[part] = tensor.to(device)
                case [object_id, kind, frame_index]:
                    bank = state.objects.setdefault(int(object_id), ObjectState())
                    getattr(bank, kind)[int(frame_index)] = tensor.to(device)
        for (object_id, frame_index), parts in conditioning.items():
            bank = state.objects.setdefault(object_id, ObjectState())
            bank.conditioning[frame_index] = ConditioningFrame(**parts)
        for object_id, bank in state.objects.items():
            order = orders.get(object_id) or sorted(bank.conditioning)
            bank.conditioning = {frame_index: bank.conditioning[frame_index] for frame_index in order}
        state.objects = dict(sorted(state.objects.items()))
        return state


def _keep_after(bank: dict[int, torch.Tensor], frame_index: int) -> None:
    for old in [t for t in bank if t <= frame_index]:
        del bank[old]
