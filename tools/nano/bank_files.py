"""The data bank on disk: what clips are made from.

BANK/bank.json          sources and tracks: names, sizes, what is held out
BANK/frames/<n>.npy     frames of source n, mapped into memory, never read as a whole
BANK/tracks.npz         masks of track n, packed to bits
BANK/silhouettes.npy    shapes without a picture
BANK/pictures.npy       pictures of objects
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.storage.files import complete_or_absent

PATCH_PX = 160  # side of the square patch that a silhouette or a texture fills
OBJECT_SHARE = 0.9  # of the tracks drawn; regions are many more, but people ask for objects
HELD_OUT_EVERY = 10  # each tenth silhouette and picture is held out


@dataclass(frozen=True)
class Source:
    """The frames of one video, or one image."""

    name: str
    frames: np.ndarray  # (frame, height, width, 3) uint8, RGB
    held_out: bool = False


@dataclass(frozen=True)
class Track:
    """One object, or one region of a picture, through consecutive frames of a source."""

    source: int
    first_frame: int
    size_hw: tuple[int, int]
    packed: np.ndarray = field(repr=False)  # (frame, bytes) uint8
    is_object: bool = True  # false: a region that a segmentation found, carried by flow

    def __len__(self) -> int:
        return len(self.packed)

    def mask(self, offset: int) -> np.ndarray:
        """Return the mask `offset` frames after the first one: (height, width) uint8, 0 or 1."""
        height, width = self.size_hw
        return np.unpackbits(self.packed[offset], count=height * width).reshape(height, width)


@dataclass(frozen=True)
class Bank:
    """What clips are made from. A track's `source` is a position in `sources`."""

    sources: Sequence[Source]
    tracks: Sequence[Track]
    silhouettes: np.ndarray  # (shape, PATCH_PX, PATCH_PX) uint8, 0 to 255
    pictures: np.ndarray  # (picture, PATCH_PX, PATCH_PX, 4) uint8, RGB and alpha

    def draw_track(self, rng: np.random.Generator) -> Track:
        """Return a random track, an object's in OBJECT_SHARE of all draws; the bank must have tracks."""
        wanted = rng.random() < OBJECT_SHARE
        fitting = [track for track in self.tracks if track.is_object == wanted] or self.tracks
        return fitting[int(rng.integers(len(fitting)))]

    def part(self, held_out: bool) -> "Bank":
        """Return what may be trained on, or what is held out; the two share no source and no patch."""
        kept = [index for index, source in enumerate(self.sources) if source.held_out == held_out]
        if not kept:
            raise ValueError(f"no source of the bank has held_out={held_out}")
        position = {index: new for new, index in enumerate(kept)}
        return Bank(
            [self.sources[index] for index in kept],
            [
                replace(track, source=position[track.source])
                for track in self.tracks
                if track.source in position
            ],
            *(_part(patches, held_out) for patches in (self.silhouettes, self.pictures)),
        )


def _part(patches: np.ndarray, held_out: bool) -> np.ndarray:
    every = np.arange(len(patches)) % HELD_OUT_EVERY == 0
    return patches[every == held_out]


def pack_track(source: int, first_frame: int, masks: np.ndarray, is_object: bool) -> Track:
    """Return the track of `masks`: (frame, height, width), 0 or 1."""
    packed = np.packbits(masks.reshape(len(masks), -1).astype(bool), axis=1)
    return Track(source, first_frame, masks.shape[1:], packed, is_object)


def write_bank(
    folder: Path,
    sources: Iterable[Source],
    tracks: Sequence[Track],
    silhouettes: np.ndarray,
    pictures: np.ndarray,
) -> None:
    """Write a bank; `bank.json` comes last, so that a bank without it is an incomplete one."""
    if (folder / "bank.json").exists():
        raise FileExistsError(f"{folder}: holds a bank, which a training may be reading; give another folder")
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    described = []
    for index, source in enumerate(sources):
        np.save(folder / "frames" / f"{index}.npy", source.frames)
        described.append({"name": source.name, "held_out": source.held_out})
    np.save(folder / "silhouettes.npy", silhouettes)
    np.save(folder / "pictures.npy", pictures)
    packed: dict[str, Any] = {str(n): track.packed for n, track in enumerate(tracks)}
    np.savez_compressed(folder / "tracks.npz", **packed)
    about = [
        {name: getattr(track, name) for name in ("source", "first_frame", "size_hw", "is_object")}
        for track in tracks
    ]
    with complete_or_absent(folder / "bank.json") as partial:
        partial.write_text(json.dumps({"sources": described, "tracks": about}, indent=1))


def read_bank(folder: Path) -> Bank:
    """Return the bank in `folder`. Frames stay on disk until a clip asks for them."""
    if not (folder / "bank.json").is_file():
        raise FileNotFoundError(f"{folder}: no bank.json; make the bank with python -m tools.nano.bank")
    if not (folder / "pictures.npy").is_file():
        raise FileNotFoundError(f"{folder}: no pictures.npy; an older program's bank, to be made again")
    about = json.loads((folder / "bank.json").read_text())
    sources = [
        Source(row["name"], np.load(folder / "frames" / f"{index}.npy", mmap_mode="r"), row["held_out"])
        for index, row in enumerate(about["sources"])
    ]
    with np.load(folder / "tracks.npz") as packed:
        tracks = [
            Track(row["source"], row["first_frame"], tuple(row["size_hw"]), packed[str(n)], row["is_object"])
            for n, row in enumerate(about["tracks"])
        ]
    silhouettes, pictures = (np.load(folder / name) for name in ("silhouettes.npy", "pictures.npy"))
    return Bank(sources, tracks, silhouettes, pictures)
