"""LANES -> MASKS + MEMORIES: a batch of objects, each on a frame of its own video."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from pipeline.engine.candidates import HeadOutput
from pipeline.engine.lanes import Lane, LookBack
from pipeline.engine.network import Network, Shared


class LaneTensors(NamedTuple):
    """What a batch of lanes goes into the network with."""

    shared: Shared  # of one frame a lane
    memories: torch.Tensor  # (lane, memory, token, memory channel)
    rows: torch.Tensor  # (lane, memory) of the model's temporal table
    pointers: torch.Tensor  # (lane, pointer, channel)
    ages: torch.Tensor  # (lane, pointer) float32

    @classmethod
    def of(cls, lanes: Sequence[Lane], pasts: Sequence[LookBack], size: int) -> "LaneTensors":
        """Gather lanes that look back at equally many; the last one fills the batch up to its size."""
        lanes = [*lanes, *[lanes[-1]] * (size - len(lanes))]
        pasts = [*pasts, *[pasts[-1]] * (size - len(pasts))]
        shared = Shared.stacked([lane.features.shared for lane in lanes])
        device = shared.embedding.device
        return cls(
            shared,
            _stacked([past.memories for past in pasts], device),
            torch.tensor([past.rows for past in pasts]).to(device, non_blocking=True),
            _stacked([past.pointers for past in pasts], device),
            torch.tensor([past.ages for past in pasts]).to(device, non_blocking=True),
        )


def track(network: Network, *tensors: torch.Tensor) -> tuple[HeadOutput, torch.Tensor]:
    """Segment objects by what they look back at.

    Args:
        network: On the device that the tensors are on.
        *tensors: All of `LaneTensors`, first those of `Shared`; flat, so that a graph can be captured.

    Returns:
        The output and the memories, (lane, token, memory channel), of these frames.
    """
    shared, past = Shared(*tensors[: len(Shared._fields)]), tensors[len(Shared._fields) :]
    output = network.decode(shared, network.recall(shared, network.look_back(*past)))
    return output, remember_tracked(network, shared, output)


def remember_tracked(network: Network, shared: Shared, output: HeadOutput) -> torch.Tensor:
    """Return the memories, (lane, token, memory channel), of frames that objects were tracked to."""
    probabilities = at_image_size(output.mask_logits).sigmoid()
    return network.remember(shared, probabilities, output.object_score)


def remember_prompted(
    network: Network, shared: Shared, mask_logits: torch.Tensor, object_score: torch.Tensor
) -> torch.Tensor:
    """Return the memory, (1, token, memory channel), of a prompted frame from its mask as the user gets it.

    The mask is upsampled from the low-resolution logits again, after holes were filled, and is binarised:
    the official predictor does so for prompted frames and for these only.
    """
    shared = Shared.stacked([shared])
    mask = (at_image_size(mask_logits) > 0).float()
    return network.remember(shared, mask, object_score)


def at_image_size(mask_logits: torch.Tensor) -> torch.Tensor:
    """Upsample (lane, 1, height, width) logits to the model's input size."""
    return F.interpolate(mask_logits, scale_factor=4, mode="bilinear", align_corners=False)


def _stacked(tensors: Sequence[Sequence[torch.Tensor]], device: torch.device) -> torch.Tensor:
    """Stack rows of equal length on a device, (lane, item, ..)."""
    lanes = len(tensors)
    items = [tensor.to(device, non_blocking=True) for row in tensors for tensor in row]
    return torch.stack(items).unflatten(0, (lanes, -1))
