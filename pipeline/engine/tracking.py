"""LANES -> MASKS + MEMORIES: a batch of objects, each on a frame of its own video."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from pipeline.engine.lanes import Lane, LookBack
from pipeline.engine.mask_decoder import HeadOutput
from pipeline.engine.network import Network, Shared


def track(
    network: Network, lanes: Sequence[Lane], pasts: Sequence[LookBack]
) -> tuple[HeadOutput, torch.Tensor]:
    """Segment objects by what they look back at, equally many memories and pointers each.

    Returns:
        The output and the memories, (lane, token, memory channel), of these frames.
    """
    shared = Shared.stacked([lane.features.shared for lane in lanes])
    device = shared.embedding.device
    memories = network.look_back(
        _stacked([past.memories for past in pasts]),
        torch.tensor([past.rows for past in pasts]).to(device, non_blocking=True),
        _stacked([past.pointers for past in pasts]),
        torch.tensor([past.ages for past in pasts]).to(device, non_blocking=True),
    )
    output = network.decode(shared, memories)
    probabilities = at_image_size(output.mask_logits).sigmoid()
    return output, network.remember(shared, probabilities, output.object_score)


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


def _stacked(tensors: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Stack rows of equal length, (lane, item, ..)."""
    lanes = len(tensors)
    return torch.stack([tensor for row in tensors for tensor in row]).unflatten(0, (lanes, -1))
