"""The network on frame after frame, with its memory, as the predictor runs it, but with gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from sam2.modeling.sam2_base import SAM2Base

from tools.nano.losses import Decoded
from tools.nano.prompts import Points

MEAN_RGB, STD_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
UNBOUNDED = (
    1000  # frames of the video, as far as the network is concerned: at most 16 pointers are read anyway
)


@dataclass(frozen=True)
class Features:
    """What the image encoder gives for all frames of a batch, finest level first."""

    levels: list[torch.Tensor]  # (clip, frame, channel, height, width)
    places: list[torch.Tensor]  # (height * width, 1, channel)
    clip_of_object: torch.Tensor  # (object,)

    def at(self, frame: int) -> dict[str, Any]:
        """Return what a step of the network takes, for all objects."""
        seen = [level[self.clip_of_object, frame].flatten(2).permute(2, 0, 1) for level in self.levels]
        return {
            "current_vision_feats": seen,
            "current_vision_pos_embeds": [
                place.expand(-1, len(self.clip_of_object), -1) for place in self.places
            ],
            "feat_sizes": [tuple(level.shape[-2:]) for level in self.levels],
        }


@dataclass
class Tracker:
    """The network, and what it remembers of a batch."""

    network: SAM2Base
    features: Features
    decoded: list[Decoded]  # filled by `listening`
    memory: dict[str, dict[int, dict]] = field(
        default_factory=lambda: {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    )

    def step(
        self, frame: int, points: Points | None, masks: torch.Tensor | None, fed_back: torch.Tensor | None
    ):
        """Return the network's output, all of its decoder's masks, and a memory to be completed."""
        self.decoded.clear()
        memory, output, _, _ = self.network._track_step(
            frame_idx=frame,
            is_init_cond_frame=frame == 0,
            point_inputs=points,
            mask_inputs=masks,
            output_dict=self.memory,
            num_frames=UNBOUNDED,
            track_in_reverse=False,
            prev_sam_mask_logits=fed_back,
            **self.features.at(frame),
        )
        return output, self.decoded[-1], memory

    def remember(
        self, frame: int, step, points: Points | None, told: torch.Tensor, masks: torch.Tensor
    ) -> None:
        """Store the memory of a step; objects that are `told`, (object, 1) bool, remember `masks`."""
        (_, _, _, _, logits, pointer, score), _, memory = step
        seen = self.features.at(frame)
        visible = masks.flatten(1).any(1, keepdim=True)
        logits = torch.where(told[:, :, None, None], masks[:, None] * 20 - 10, logits)  # as for a mask prompt
        score = torch.where(told, visible * 20.0 - 10, score.float())
        self.network._encode_memory_in_output(
            seen["current_vision_feats"], seen["feat_sizes"], points, True, logits, score, memory
        )
        memory["obj_ptr"] = pointer
        prompted = frame == 0 or points is not None
        self.memory["cond_frame_outputs" if prompted else "non_cond_frame_outputs"][frame] = memory


@contextmanager
def listening(network: SAM2Base) -> Iterator[list[Decoded]]:
    """Give a list to which the decoder adds all four masks of each call, before one is chosen or hidden."""
    decoder, heard = network.sam_mask_decoder, []
    predict = decoder.predict_masks

    def predict_and_tell(*arguments, **named):
        output = predict(*arguments, **named)
        heard.append(Decoded(output[0], output[1], output[3]))  # pyright: ignore[reportGeneralTypeIssues]
        return output

    decoder.predict_masks = predict_and_tell
    try:
        yield heard
    finally:
        decoder.predict_masks = predict


def encode(network: SAM2Base, frames: torch.Tensor, clip_of_object: torch.Tensor) -> Features:
    """Return the features of (clip, frame, side, side, 3) uint8 frames."""
    mean, std = (torch.tensor(value, device=frames.device).view(3, 1, 1) for value in (MEAN_RGB, STD_RGB))
    pixels = (frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 255 - mean) / std
    encoded = network.forward_image(pixels)
    last = network.num_feature_levels
    levels = [level.unflatten(0, frames.shape[:2]) for level in encoded["backbone_fpn"][-last:]]
    places = [place[:1].flatten(2).permute(2, 0, 1) for place in encoded["vision_pos_enc"][-last:]]
    return Features(levels, places, clip_of_object)
