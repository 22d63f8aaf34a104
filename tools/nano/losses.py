"""The losses of one frame, as in SAM 2's training, and what a log wants to know of it.

Focal and dice on the mask tokens: on the one for clear prompts, and on the best of the three for unclear
ones, with a share for all three, so that a wrong choice among them costs little. L1 on all estimated IoUs,
cross-entropy on the object score. Where an object is not visible its score alone is supervised.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

FOCAL_WEIGHT = 20.0
FOCUS = 2.0
OTHERS_SHARE = (
    0.1  # of the loss of all three masks together, after a single click: it may mean different things
)
OTHERS_SHARE_TRACKED = 0.5  # when tracking: only one thing is meant


@dataclass(frozen=True)
class Decoded:
    """All that the mask decoder says of one frame."""

    logits: torch.Tensor  # (object, 4, side, side): the mask for clear prompts, then three candidates
    ious: torch.Tensor  # (object, 4) estimates
    scores: torch.Tensor  # (object, 1) logits: it is visible


@dataclass(frozen=True)
class FrameLoss:
    """Losses to descend, and detached measures for a log."""

    total: torch.Tensor  # ()
    iou: torch.Tensor  # (object,) of the mask that the predictor would choose
    visible: torch.Tensor  # (object,) bool, in truth
    judged_visible: torch.Tensor  # (object,) bool


def frame_loss(decoded: Decoded, masks: torch.Tensor, one_click: bool, balance: float) -> FrameLoss:
    """Return the loss of one frame, the mean over its objects.

    Args:
        decoded: Of the frame.
        masks: (object, height, width) float, 0 or 1: visible parts.
        one_click: It is the frame of a single click.
        balance: Weight of cross-entropy in which object and ground weigh the same. Without it, clicks and
            boxes stay at empty masks for long.
    """
    visible = masks.flatten(1).any(1)
    scores = decoded.scores[:, 0].float()
    score_loss = F.binary_cross_entropy_with_logits(scores, visible.float())
    logits = F.interpolate(decoded.logits.float(), scale_factor=2, mode="bilinear", align_corners=False)
    truth = F.interpolate(masks[:, None], logits.shape[-2:], mode="area").expand_as(logits)
    each = mask_losses(logits, truth, balance)
    with torch.no_grad():
        ious = iou(logits > 0, truth >= 0.5)
    others = OTHERS_SHARE if one_click else OTHERS_SHARE_TRACKED
    masked = each[:, 0] + each[:, 1:].amin(1) + others * each[:, 1:].mean(1)
    estimates = (decoded.ious.float() - ious).abs().mean(1)
    total = ((masked + estimates) * visible).mean() + score_loss
    chosen = 1 + decoded.ious[:, 1:].argmax(1, keepdim=True)
    return FrameLoss(total, ious.gather(1, chosen)[:, 0], visible, scores.detach() > 0)


def mask_losses(logits: torch.Tensor, truth: torch.Tensor, balance: float) -> torch.Tensor:
    """Return focal and dice loss of each mask, (object, mask). Truth is how much of a pixel is object."""
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    share = logits.sigmoid()
    right = share * truth + (1 - share) * (1 - truth)
    focal = ((1 - right) ** FOCUS * entropy).mean((2, 3))
    dice = 1 - (2 * (share * truth).sum((2, 3)) + 1) / ((share + truth).sum((2, 3)) + 1)
    losses = FOCAL_WEIGHT * focal + dice
    if balance:
        on_object = (entropy * truth).sum((2, 3)) / (truth.sum((2, 3)) + 1)
        losses = losses + balance * (on_object + (entropy * (1 - truth)).mean((2, 3)))
    return losses


def iou(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return intersection over union of masks over their last two axes; 0 for two empty ones."""
    return (found & true).sum((-2, -1)) / (found | true).sum((-2, -1)).clamp(min=1)
