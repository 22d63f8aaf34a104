"""Measure weights by the official predictor: python -m tools.nano.evaluate --weights W --truth DIR --out JSON

J is the mean intersection over union over all later frames with a true mask; the prompt is on frame 0 alone.
W is .safetensors, a .pt with {"model": tensors}, or a training's state, whose averaged weights are taken.
"""

import argparse
import json
from collections.abc import Sequence as Listed
from pathlib import Path

import numpy as np
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from pipeline.inputs.manifest_write import PromptKind
from pipeline.stages.evaluate import jaccard
from pipeline.storage.files import write_whole
from tools.nano.bank_files import read_bank
from tools.nano.held_out import judge
from tools.nano.network import load_weights, official_predictor
from tools.nano.official_run import track
from tools.nano.overlays import write_overlay
from tools.nano.sequences import Sequence, numbered, read_sequences
from tools.nano.synth import Wish

SPEED_FRAMES = 40
EVENTFUL = 2.0  # of made clips: absence is what is asked about


def object_figures(
    predictor: SAM2VideoPredictor, sequence: Sequence, label: int, overlay: Path | None
) -> dict:
    """Return J and frame-0 J of one object by kind of prompt, and draw it where `overlay` says."""
    truth = {frame: sequence.labels(frame) == label for frame in sequence.masks}
    with numbered(sequence.frames) as folder:
        masks = track(predictor, folder, [(kind, truth[0]) for kind in PromptKind]).masks
    rows = {kind.value: found for kind, found in zip(PromptKind, masks, strict=True)}
    if overlay:
        write_overlay(overlay, sequence.frames, rows, truth)
    later = [frame for frame in truth if frame > 0 and truth[frame].any()]
    return {
        "J": {
            kind: _rounded([jaccard(found[frame], truth[frame]) for frame in later])
            for kind, found in rows.items()
        },
        "J_frame0": {kind: round(jaccard(found[0], truth[0]), 4) for kind, found in rows.items()},
        "J_copied": _rounded(
            [jaccard(truth[0], truth[frame]) for frame in later]
        ),  # of the first mask, left where it is
    }


def _rounded(values: Listed[float]) -> float:
    return round(float(np.mean(values)), 4)


def truth_figures(
    predictor: SAM2VideoPredictor, truth: Path, overlays: Path | None, chosen: Listed[str]
) -> dict:
    """Return figures of all objects below a folder, and their means."""
    objects = {}
    for sequence in read_sequences(truth):
        for label in sequence.objects():
            name = f"{sequence.name}/{label}"
            draw = overlays / f"{sequence.name}-{label}.png" if overlays and sequence.name in chosen else None
            objects[name] = object_figures(predictor, sequence, label, draw)
            print(name, json.dumps(objects[name]), flush=True)
    if not objects:
        raise ValueError(
            f"{truth}: no folder below it holds frames/*.jpg and masks/*.png with one of frame 0"
        )
    means = {
        figure: {
            kind.value: _rounded([each[figure][kind.value] for each in objects.values()])
            for kind in PromptKind
        }
        for figure in ("J", "J_frame0")
    }
    return {
        **means,
        "J_copied": _rounded([each["J_copied"] for each in objects.values()]),
        "objects": objects,
    }


def speed(predictor: SAM2VideoPredictor, sequence: Sequence) -> float:
    """Return frames per second for one object, loading not counted; the first run warms up."""
    mask = sequence.labels(0) == sequence.objects()[0]
    frames = sequence.frames[:SPEED_FRAMES]
    with numbered(frames) as folder:
        seconds = [track(predictor, folder, [(PromptKind.mask, mask)]).seconds for _ in range(2)]
    return round(len(frames) / seconds[1], 2)


def evaluate(arguments: argparse.Namespace) -> dict:
    predictor = official_predictor(load_weights(arguments.weights), arguments.device)
    held_out = read_bank(arguments.bank).part(held_out=True) if arguments.bank else None
    figures = {
        "weights": arguments.weights.name,
        "torch_threads": torch.get_num_threads(),
        "device": arguments.device,
    }
    figures["truth"] = truth_figures(predictor, arguments.truth, arguments.overlays, arguments.overlay)
    figures["frames_per_second"] = speed(predictor, read_sequences(arguments.truth)[0])
    if held_out:
        wish = Wish(arguments.clip_frames, arguments.clip_px, 3, EVENTFUL)
        figures["held_out"] = judge(predictor, held_out, arguments.clips, wish)
    return figures


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--weights", type=Path, required=True)
    made.add_argument(
        "--truth", type=Path, required=True, help="folder with <sequence>/frames and <sequence>/masks"
    )
    made.add_argument("--out", type=Path, required=True, help="JSON")
    made.add_argument("--bank", type=Path, help="also judge made clips of this bank's held-out part")
    made.add_argument("--clips", type=int, default=24)
    made.add_argument("--clip-frames", type=int, default=24)
    made.add_argument("--clip-px", type=int, default=256)
    made.add_argument("--overlays", type=Path, help="folder for pictures")
    made.add_argument("--overlay", nargs="*", default=[], help="sequences to draw")
    made.add_argument("--device", default="cpu")
    made.add_argument("--threads", type=int, default=1)
    return made


def main(command_line: Listed[str] | None = None) -> None:
    arguments = parser().parse_args(command_line)
    torch.set_num_threads(arguments.threads)
    figures = evaluate(arguments)
    write_whole(arguments.out, (json.dumps(figures, indent=1) + "\n").encode())
    print(json.dumps({name: value for name, value in figures.items() if name != "truth"}))


if __name__ == "__main__":
    main()
