"""Made clips of held-out pictures and shapes: does the model notice that an object is not there?"""

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from sam2.sam2_video_predictor import SAM2VideoPredictor

from pipeline.inputs.manifest_write import PromptKind
from pipeline.stages.evaluate import jaccard
from tools.nano.bank_files import Bank
from tools.nano.official_run import track
from tools.nano.synth import Clip, Wish, make_clip

SEED = 2024
JPEG_QUALITY = 95


def judge(predictor: SAM2VideoPredictor, bank: Bank, clips: int, wish: Wish) -> dict[str, float]:
    """Return figures of tracking from a mask over seeded clips of a bank's held-out part.

    `absent_empty` is the share of frames without the object whose mask is empty, `false_empty` that of frames
    with it. Frame 0, whose mask is given, does not count.
    """
    absent: list[bool] = []
    present: list[bool] = []
    overlaps: list[float] = []
    for number in range(clips):
        clip = make_clip(bank, np.random.default_rng((SEED, number)), wish)
        for true, found in zip(clip.masks, _found(predictor, clip), strict=True):
            for true_mask, mask in zip(true[1:], found[1:], strict=True):
                (present if true_mask.any() else absent).append(not mask.any())
                if true_mask.any():
                    overlaps.append(jaccard(mask, true_mask))
    return {
        "clips": clips,
        "frames_without_object": len(absent),
        "absent_empty": _mean(absent),
        "frames_with_object": len(present),
        "false_empty": _mean(present),
        "J": _mean(overlaps),
    }


def _mean(values: list) -> float:
    return round(float(np.mean(values)), 4) if values else float("nan")


def _found(predictor: SAM2VideoPredictor, clip: Clip) -> list[list[np.ndarray]]:
    with TemporaryDirectory() as folder:
        for index, frame in enumerate(clip.frames):
            bgr = np.ascontiguousarray(frame[..., ::-1])
            cv2.imwrite(str(Path(folder) / f"{index:05d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return track(predictor, Path(folder), [(PromptKind.mask, masks[0]) for masks in clip.masks]).masks
