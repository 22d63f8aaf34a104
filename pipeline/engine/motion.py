"""Choose among masks by where the object was going, and remember only frames that are sure.

From the paper of SAMURAI, Yang et al., arXiv 2411.11922, with its published thresholds; its filter follows
one object, here each has its own. Where an object's motion has been steady, the mask is taken whose IoU, as
the model predicts it, and whose box's IoU with the predicted box weigh most together. A frame on which one of
these scores is low is looked at from the next frame and then forgotten: instead of the last six frames, an
object remembers the last six that were sure.
"""

from collections.abc import Iterable

import numpy as np
import torch

from pipeline.engine.candidates import Glance, box_iou
from pipeline.engine.kalman import Motion, corrected, predicted, started
from pipeline.engine.state import MEMORY_SPAN_FRAMES, ObjectState, Verdict

MOTION_WEIGHT = 0.15  # alpha_kf: against the predicted IoU's 0.85
STEADY_FRAMES = 15  # tau_kf: so many sure frames in a row make the motion count
STEADY_IOU = 0.3  # predicted, from which a frame's box corrects the motion
SURE_IOU, SURE_OBJECT_SCORE, SURE_MOTION_IOU = 0.5, 0.0, 0.0  # tau_mask, tau_obj, tau_kf: remembered above


def judge(bank: ObjectState, frame_index: int, glance: Glance) -> Verdict:
    """Say which mask is taken and whether the frame is remembered; changes nothing."""
    steady, unsure, motion = _noted(bank.notes, frame_index)
    choice, motion_iou = glance.best, None
    if motion is not None and steady >= STEADY_FRAMES:
        motion_ious = box_iou(motion.box_xyxy, glance.boxes_xyxy)
        choice = int((MOTION_WEIGHT * motion_ious + (1 - MOTION_WEIGHT) * glance.iou_scores).argmax())
        motion_iou = motion_ious[choice]
    is_sure = (
        glance.iou_scores[choice] > SURE_IOU
        and glance.object_score > SURE_OBJECT_SCORE
        and (motion_iou is None or motion_iou > SURE_MOTION_IOU)
    )
    sure = [t for t in bank.memories if t != unsure] + ([frame_index] if is_sure else [])
    sure = sorted(sure, key=lambda t: abs(frame_index - t))[:MEMORY_SPAN_FRAMES]
    notes = _moved(motion, steady, glance, choice)
    notes["frame"] = torch.tensor(frame_index)
    notes["unsure"] = torch.tensor([] if is_sure else [frame_index], dtype=torch.int64)
    return Verdict(choice, frozenset([*sure, frame_index]), frozenset(), notes)


def _noted(notes: dict[str, torch.Tensor], frame_index: int) -> tuple[int, int | None, Motion | None]:
    """Return how many frames the motion has been steady for, which was unsure, and the motion by now."""
    if not notes:
        return 0, None, None
    unsure: Iterable[int] = notes["unsure"].tolist()
    if "mean" not in notes:
        return 0, next(iter(unsure), None), None
    if abs(frame_index - int(notes["frame"])) > 1:  # a prompt in between says where the object is: begin anew
        return 0, next(iter(unsure), None), None
    motion = predicted(Motion(notes["mean"].numpy(), notes["covariance"].numpy()))
    return int(notes["steady"]), next(iter(unsure), None), motion


def _moved(motion: Motion | None, steady: int, glance: Glance, choice: int) -> dict[str, torch.Tensor]:
    """Return notes of the motion after a frame; none where there is nothing to follow."""
    is_seen = glance.areas_px[choice] > 0 and glance.iou_scores[choice] > STEADY_IOU
    box = glance.boxes_xyxy[choice]
    if motion is None or steady == 0:
        if not is_seen:
            return {}
        motion, steady = started(box), 1
    elif is_seen:
        motion, steady = corrected(motion, box), min(steady + 1, STEADY_FRAMES)
    else:
        steady = 0
    mean, covariance = (torch.from_numpy(np.ascontiguousarray(part)) for part in motion)
    return {"mean": mean, "covariance": covariance, "steady": torch.tensor(steady)}
