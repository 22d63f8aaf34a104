"""Batches of clips: each is a function of seed, step and process, whoever makes it and when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pipeline.inputs.manifest_write import PromptKind
from tools.nano.bank_files import Bank
from tools.nano.schedule import Stage
from tools.nano.synth import Wish, make_clip

KIND_SHARES = {PromptKind.mask: 0.34, PromptKind.box: 0.32, PromptKind.click: 0.34}
STILL_KINDS = (PromptKind.box, PromptKind.click)
EVENTFUL = 1.2  # absence is rare enough for a network to ignore it


@dataclass(frozen=True)
class Order:
    """Which batch to make."""

    step: int
    rank: int  # of the process, among those that train together
    stage: Stage


@dataclass(frozen=True)
class Batch:
    """Clips of equal length and objects in them; a kind of prompt; and a seed for all that is drawn later."""

    frames: np.ndarray  # (clip, frame, side, side, 3) uint8, RGB
    masks: np.ndarray  # (object, frame, side, side) bool
    clip_of_object: np.ndarray  # (object,) int64
    kind: PromptKind
    seed: tuple[int, ...]


class Batches(Dataset):
    """Makes the batch of an order."""

    def __init__(self, bank: Bank, seed: int):
        self.bank = bank
        self.seed = seed

    def __getitem__(self, order: Order) -> Batch:
        cv2.setNumThreads(0)  # processes are what is parallel
        seed = (self.seed, order.step, order.rank)
        rng = np.random.default_rng(seed)
        still = rng.random() < order.stage.still_share
        shape = order.stage.still if still else order.stage.moving[rng.integers(len(order.stage.moving))]
        kinds = list(KIND_SHARES)
        kind = kinds[rng.choice(len(kinds), p=list(KIND_SHARES.values()))]
        if still:
            kind = STILL_KINDS[rng.integers(len(STILL_KINDS))]
        wish = Wish(shape.frames, order.stage.side_px, shape.objects, EVENTFUL)
        # Not from 0 on: to NumPy, (a, b, c, 0) is (a, b, c).
        seeds = [(*seed, number) for number in range(1, shape.clips + 2)]
        clips = [make_clip(self.bank, np.random.default_rng(each), wish) for each in seeds[:-1]]
        return Batch(
            np.stack([clip.frames for clip in clips]),
            np.concatenate([clip.masks for clip in clips]),
            np.repeat(np.arange(len(clips)), [len(clip.masks) for clip in clips]),
            kind,
            seeds[-1],
        )


def made(batches: Batches, orders: Iterable[Order], workers: int, ahead: int = 4) -> Iterator[Batch]:
    """Yield the batch of each order, made ahead of time by `workers` processes, or here and now without."""
    if workers == 0:
        yield from (batches[order] for order in orders)
        return
    loader = DataLoader(
        batches,
        sampler=orders,  # pyright: ignore[reportArgumentType]  # it is only iterated
        batch_size=None,
        num_workers=workers,
        prefetch_factor=ahead,
        collate_fn=_to_tensors,  # pyright: ignore[reportArgumentType]  # without batch_size it takes one item
    )
    yield from (_to_arrays(batch) for batch in loader)


def _to_tensors(batch: Batch):
    """Return the batch with tensors, which go between processes without being copied."""
    return replace(batch, **{name: torch.from_numpy(getattr(batch, name)) for name in _ARRAYS})


def _to_arrays(batch) -> Batch:
    return replace(batch, **{name: getattr(batch, name).numpy() for name in _ARRAYS})


_ARRAYS = ("frames", "masks", "clip_of_object")
