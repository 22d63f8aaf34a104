"""Build the data bank: python -m tools.nano.bank --raw DIR --out BANK

DIR holds videos, images and silhouettes, and in `pictures/` objects with alpha; `sources.json` beside this
file says which silhouettes, which pictures not, what is held out, and where objects are. What is in DIR and
not named there gives backgrounds, textures and regions.
"""

import argparse
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from tools.nano.bank_files import Source, Track, pack_track, write_bank
from tools.nano.pictures import read_pictures
from tools.nano.regions import regions
from tools.nano.silhouettes import read_silhouettes
from tools.nano.tracks import carry, follow_object, follow_region, mask_in_box

SOURCES = Path(__file__).with_name("sources.json")
PICTURES = "pictures"  # folder in that of the raw files
VIDEOS, IMAGES = {".mp4", ".mov", ".mkv", ".webm"}, {".jpg", ".jpeg", ".png"}
SHORT_SIDE_PX = 256
FRAMES = 60  # of a video
LARGEST_STEP = 3  # frames of the file from one frame of the bank to the next
OBJECT_REACH, REGION_REACH = 29, 12  # frames each way
REGION_EVERY, REGIONS_A_FRAME = 8, 4


def read_source(path: Path, held_out: bool) -> tuple[Source, int]:
    """Return a video's or image's frames, and how many frames of the file lie between two of them."""
    if path.suffix.lower() in IMAGES:
        return Source(
            path.name, shrink(_rgb(cv2.imread(str(path), cv2.IMREAD_COLOR), path))[None], held_out
        ), 1
    video = cv2.VideoCapture(str(path))
    step = max(1, min(LARGEST_STEP, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // FRAMES))
    frames = []
    while len(frames) < FRAMES * step and video.grab():
        keep = len(frames) % step == 0
        frames.append(shrink(_rgb(video.retrieve()[1], path)) if keep else None)
    if not frames:
        raise ValueError(f"{path}: no frame can be decoded")
    return Source(path.name, np.stack([frame for frame in frames if frame is not None]), held_out), step


def _rgb(bgr: np.ndarray | None, path: Path) -> np.ndarray:
    if bgr is None:
        raise ValueError(f"{path}: can't be decoded")
    return np.ascontiguousarray(bgr[..., ::-1])


def shrink(image: np.ndarray) -> np.ndarray:
    """Return the image with a short side of at most SHORT_SIDE_PX."""
    scale = SHORT_SIDE_PX / min(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def object_tracks(index: int, source: Source, step: int, boxes: list[dict]) -> Iterator[Track]:
    """Yield the tracks that the boxes of a source begin."""
    for box in boxes:
        start = min(round(box["frame_index"] / step), len(source.frames) - 1)
        mask = mask_in_box(source.frames[start], box["box_xyxy"])
        if not mask.any():
            raise ValueError(
                f"{source.name}: no object in box {box['box_xyxy']} of frame {box['frame_index']}"
            )
        first, masks = carry(source.frames, start, mask, follow_object, OBJECT_REACH)
        yield pack_track(index, first, masks, is_object=True)


def region_tracks(index: int, source: Source) -> Iterator[Track]:
    """Yield regions of some frames of a source, each carried as far as flow is sure."""
    rng = np.random.default_rng(index)
    for start in range(0, len(source.frames), REGION_EVERY):
        for mask in regions(source.frames[start], REGIONS_A_FRAME, rng):
            first, masks = carry(source.frames, start, mask, follow_region, REGION_REACH)
            yield pack_track(index, first, masks, is_object=False)


def raw_files(raw: Path, about: dict) -> list[Path]:
    """Return videos and images of `raw`, then those of scikit-image where it is installed.

    Raises:
        FileNotFoundError: Something that `about` (of sources.json) names is not there.
    """
    named = {box["source"] for box in about["boxes"]} | {*about["held_out"], *about["silhouettes"], PICTURES}
    if missing := sorted(name for name in named if not (raw / name).exists()):
        raise FileNotFoundError(
            f"{raw}: without {', '.join(missing)}; docs/nano.md says where they come from"
        )
    folders = [raw]
    spec = find_spec("skimage")
    if spec and spec.origin:
        folders.append(Path(spec.origin).parent / "data")
    found = [path for folder in folders for path in sorted(folder.glob("*"))]
    fitting = VIDEOS | IMAGES
    return [path for path in found if path.suffix.lower() in fitting and path.name not in about["never"]]


def build(raw: Path, out: Path) -> None:
    """Write the bank of `raw` to `out`."""
    about = json.loads(SOURCES.read_text())
    sources, tracks = [], []
    for index, path in enumerate(raw_files(raw, about)):
        source, step = read_source(path, path.name in about["held_out"])
        sources.append(source)
        boxes = [box for box in about["boxes"] if box["source"] == path.name]
        new = [*object_tracks(index, source, step, boxes), *region_tracks(index, source)]
        tracks += new
        print(
            f"{path.name}: {len(source.frames)} frames, {len(boxes)} objects, {len(new)} tracks", flush=True
        )
    silhouettes = read_silhouettes([raw / name for name in about["silhouettes"]])
    pictures = read_pictures(raw / PICTURES, about["pictures_without"])
    write_bank(out, sources, tracks, silhouettes, pictures)
    print(
        f"{len(sources)} sources, {len(tracks)} tracks, {len(silhouettes)} silhouettes, "
        f"{len(pictures)} pictures in {out}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path, required=True, help="folder of videos, images and silhouettes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bank")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    build(arguments.raw, arguments.out)


if __name__ == "__main__":
    main()
