"""The official SAM2VideoPredictor with our nano weights, on a folder of frames, as its users run it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.outputs.rle import decode_mask
from pipeline.records import Prompt
from tests.engine.oracle import give_prompts, official_predictor
from tests.engine.scenes import nano_model


class OfficialMasks(NamedTuple):
    """What the official predictor finds on one frame."""

    frame_index: int
    masks: dict[int, np.ndarray]  # (height, width) bool by object id


def official_nano():
    """Return the official predictor as it is without its CUDA extension: holes are not filled."""
    return official_predictor(nano_model(), "nano")


def track(predictor, frames: Path, prompts: Sequence[Prompt]) -> Iterator[OfficialMasks]:
    """Yield the masks of every frame; the first step loads all frames, as the package does.

    Args:
        predictor: What `official_nano` gave.
        frames: A folder of JPEGs whose names are numbers.
        prompts: Of one or more objects.
    """
    state = predictor.init_state(str(frames))
    masks = {prompt: decode_mask(prompt.mask) for prompt in prompts if prompt.mask is not None}
    give_prompts(predictor, state, prompts, masks)
    for frame_index, object_ids, logits in predictor.propagate_in_video(state):
        found = (logits[:, 0] > 0).cpu().numpy()
        yield OfficialMasks(frame_index, dict(zip(object_ids, found, strict=True)))
