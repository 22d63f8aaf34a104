"""Pseudo-labels of real frames, without any model: a box, GrabCut, and optical flow from frame to frame.

A track ends where flow and GrabCut no longer agree, where the picture does not fit, or where the flow back
does not lead to where the flow there came from.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

SMALLEST_PX = 150
LARGEST_COLOUR_ERROR = 28.0  # mean absolute difference of a mask's pixels, of 255
LEAST_AGREEMENT = 0.72  # IoU of what flow says and what GrabCut makes of it
MARGIN = 0.02  # a box is widened by this share of the frame
FORTH_AND_BACK_PX = 1.5
LEAST_CONSISTENT = 0.8  # share of a region's pixels whose flow forth and back agrees

Carry = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]


def mask_in_box(image: np.ndarray, box_xyxy: Sequence[float]) -> np.ndarray:
    """Return what GrabCut finds in a box.

    Args:
        image: (height, width, 3) uint8, RGB.
        box_xyxy: As fractions of the frame.

    Returns:
        (height, width) uint8, 0 or 1.
    """
    height, width = image.shape[:2]
    low = np.maximum(1, np.array(box_xyxy[:2]) * (width, height) - np.array((width, height)) * MARGIN).astype(
        int
    )
    high = np.minimum(
        np.array((width, height)) - 2,
        np.array(box_xyxy[2:]) * (width, height) + np.array((width, height)) * MARGIN,
    ).astype(int)
    labels = np.zeros((height, width), np.uint8)
    rectangle = (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
    return _largest_parts(_grab_cut(image, labels, rectangle, rounds=4))


def carry(
    frames: np.ndarray, start: int, mask: np.ndarray, step: Carry, reach: int
) -> tuple[int, np.ndarray]:
    """Carry a mask both ways from frame `start`.

    Returns:
        The first frame that has a mask, and the masks from there on: (frame, height, width) uint8.
    """
    found = {start: mask}
    for direction in (1, -1):
        now, last = start, mask
        while 0 <= now + direction < len(frames) and abs(now + direction - start) <= reach:
            moved = step(frames[now], frames[now + direction], last)
            if moved is None or not 0.5 < moved.sum() / mask.sum() < 2:
                break
            now, last = now + direction, moved
            found[now] = moved
    return min(found), np.stack([found[index] for index in sorted(found)])


def follow_object(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Return the mask on the next frame, by flow, then by GrabCut near its edge; None where they disagree."""
    flow = _flow(after, before)
    warped = _pull(mask * 255, flow) > 127
    if warped.sum() < SMALLEST_PX or _colour_error(before, after, flow, warped) > LARGEST_COLOUR_ERROR:
        return None
    refined = _refine(after, warped.astype(np.uint8))
    if refined is None or refined.sum() < SMALLEST_PX:
        return None
    agreement = (refined & warped).sum() / (refined | warped).sum()
    steady = 0.75 < refined.sum() / mask.sum() < 1.33
    return refined if agreement >= LEAST_AGREEMENT and steady else None


def follow_region(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Return a region's mask on the next frame by flow alone; None where flow forth and back disagree."""
    back, forth = _flow(after, before), _flow(before, after)
    warped = _pull(mask * 255, back) > 127
    if warped.sum() < SMALLEST_PX or _colour_error(before, after, back, warped) > LARGEST_COLOUR_ERROR / 2:
        return None
    round_trip = np.linalg.norm(back + _pull(forth, back), axis=-1)[warped]
    return warped.astype(np.uint8) if (round_trip < FORTH_AND_BACK_PX).mean() >= LEAST_CONSISTENT else None


def _flow(to: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return where each pixel of `to` lies in `source`, as an offset x, y: (height, width, 2) float32."""
    new, old = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (to, source))
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        new, old, np.empty(0, np.float32)
    )


def _pull(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return cv2.remap(image, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR)


def _colour_error(before: np.ndarray, after: np.ndarray, flow: np.ndarray, mask: np.ndarray) -> float:
    return float(np.abs(_pull(before, flow)[mask].astype(int) - after[mask]).mean())


def _grab_cut(image: np.ndarray, labels: np.ndarray, rectangle: tuple[int, ...], rounds: int) -> np.ndarray:
    cv2.setRNGSeed(0)  # GrabCut starts from a random clustering
    mode = cv2.GC_INIT_WITH_RECT if rectangle else cv2.GC_INIT_WITH_MASK
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    labels = cv2.grabCut(bgr, labels, rectangle or (0, 0, 1, 1), *models, rounds, mode)[0]
    return (labels & 1).astype(np.uint8)  # GC_FGD is 1, GC_PR_FGD is 3


def _refine(image: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Let GrabCut decide in a band about the mask's edge; None where nothing is certain."""
    radius = int(max(3, min(15, 0.12 * np.sqrt(mask.sum()))))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner, outer = cv2.erode(mask, disk), cv2.dilate(mask, disk)
    labels = np.where(outer, np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD), cv2.GC_BGD).astype(np.uint8)
    labels[inner > 0] = cv2.GC_FGD
    x, y, width, height = cv2.boundingRect(cv2.dilate(outer, np.ones((41, 41), np.uint8)))
    window = (slice(y, y + height), slice(x, x + width))
    if not np.isin((cv2.GC_BGD, cv2.GC_FGD), labels[window]).all():
        return None
    refined = np.zeros_like(mask)
    refined[window] = _grab_cut(image[window], labels[window].copy(), (), rounds=2)
    return _smooth(refined)


def _smooth(mask: np.ndarray) -> np.ndarray:
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))


def _largest_parts(mask: np.ndarray) -> np.ndarray:
    """Return the mask without parts under a tenth of its largest."""
    mask = _smooth(mask)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.isin(labels, np.flatnonzero(areas > 0.1 * areas.max())).astype(np.uint8)
