"""The official predictor on a folder of frames, with each kind of prompt on the first one."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from pipeline.inputs.manifest_write import PromptKind, prompt_columns


@dataclass(frozen=True)
class Tracked:
    """What came out of one video."""

    masks: list[list[np.ndarray]]  # by prompt, then by frame: (height, width) bool
    seconds: float  # for all frames, without loading them


def track(
    predictor: SAM2VideoPredictor, frames: Path, prompts: list[tuple[PromptKind, np.ndarray]]
) -> Tracked:
    """Follow one object for each prompt, which SAM 2 does independently.

    Args:
        predictor: Of nano.
        frames: Folder of JPEGs whose names are numbers.
        prompts: PromptKind, and the object's mask on the first frame, (height, width) bool.
    """
    state = predictor.init_state(str(frames), offload_video_to_cpu=True)
    for number, (kind, mask) in enumerate(prompts):
        if kind == PromptKind.mask:
            predictor.add_new_mask(state, 0, number, torch.from_numpy(mask))
        else:
            predictor.add_new_points_or_box(state, 0, number, **_points(kind, mask))
    found = [[] for _ in prompts]
    began = time.monotonic()
    for _, _, logits in predictor.propagate_in_video(state):
        for number, mask in enumerate((logits[:, 0] > 0).cpu().numpy()):
            found[number].append(mask)
    return Tracked(found, time.monotonic() - began)


def _points(kind: PromptKind, mask: np.ndarray) -> dict[str, Any]:
    given = prompt_columns(mask, kind)
    if kind is PromptKind.click:
        xy, labels = given["points_xy"], given["point_labels"]
        return {"points": np.array(xy, np.float32), "labels": np.array(labels, np.int32)}
    return {"box": np.array(given["box_xyxy"], np.float32)}
