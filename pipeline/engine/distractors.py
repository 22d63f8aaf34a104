"""Remember frames on which a look-alike was told from the object.

From the paper of DAM4SAM, Videnovic et al., arXiv 2411.17576, with its published thresholds. Instead of the
last six frames, an object remembers the last one that has it and the last two of every fifth; and as anchors,
which are looked at like key frames, the last three on which the decoder's other masks held something else
than the mask taken, while that one was as sure and as large as it should be. Frames without the object are
not remembered.
"""

import cv2
import numpy as np
import torch

from pipeline.engine.candidates import Glance, box_iou
from pipeline.engine.state import ObjectState, Verdict

EVERY_FRAMES, SPACED = 5, 2  # of tracked frames, one in five, the last two of them; and the last frame
ANCHORS, FRAMES_BETWEEN_ANCHORS = 3, 5
SURE_IOU = 0.8  # theta_IoU, predicted
AREA_TOLERANCE, AREAS = 0.2, 10  # theta_area, about the median of so many frames
DISTRACTOR_IOU = 0.7  # theta_anc: of the mask's box with the box around both, at most


def judge(bank: ObjectState, frame_index: int, glance: Glance) -> Verdict:
    """Say what is remembered; the mask is the one that SAM 2 takes. Changes nothing."""
    choice = glance.best
    if not glance.areas_px[choice]:
        return Verdict(choice, frozenset(bank.memories), bank.anchors, bank.notes)
    areas = [*bank.notes.get("areas_px", torch.empty(0)).tolist(), float(glance.areas_px[choice])][-AREAS:]
    anchors = bank.anchors
    if _is_time(anchors, frame_index) and _is_sure(glance, areas) and _sees_another(glance):
        anchors = frozenset(_newest([*anchors, frame_index], frame_index)[:ANCHORS])
    spaced = [t for t in bank.memories if t % EVERY_FRAMES == 0 and t not in bank.anchors]
    keep = {frame_index, *_newest(spaced, frame_index)[:SPACED], *anchors}
    return Verdict(choice, frozenset(keep), anchors, {"areas_px": torch.tensor(areas)})


def _is_time(anchors: frozenset[int], frame_index: int) -> bool:
    return all(abs(frame_index - t) > FRAMES_BETWEEN_ANCHORS for t in anchors)


def _is_sure(glance: Glance, areas: list[float]) -> bool:
    ratio = areas[-1] / np.median(areas)
    return len(areas) > 1 and glance.iou_scores[glance.best] > SURE_IOU and abs(ratio - 1) <= AREA_TOLERANCE


def _sees_another(glance: Glance) -> bool:
    """Say whether another candidate has a large part far from the mask that is taken."""
    taken, *others = np.roll(glance.masks(), -glance.best, axis=0)
    parts = [part for other in others if (part := _largest_part(other & ~taken)).any()]
    around = [cv2.boundingRect((taken | part).astype(np.uint8)) for part in parts]
    boxes = np.array(around, float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return bool((box_iou(glance.boxes_xyxy[glance.best], boxes) <= DISTRACTOR_IOU).any())


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest 8-connected region of a mask; all of an empty one."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else mask


def _newest(frames: list[int], frame_index: int) -> list[int]:
    return sorted(frames, key=lambda t: abs(frame_index - t))
