"""Writing manifests: from rows, from a readable CSV, from folders of true masks."""

import csv
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pycocotools import mask as coco

from pipeline import schemas
from pipeline.errors import InputMissing, ManifestError
from pipeline.inputs.images import image_paths
from pipeline.inputs.manifest_table import base_of, read_rows, resolved
from pipeline.storage.files import complete_or_absent

logger = logging.getLogger(__name__)


def _numbers(values: Any, length: int | None = None) -> list[float]:
    """Return a list of numbers; ValueError if it is none, or of another length."""
    is_numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not is_numbers or length not in (None, len(values)):
        raise ValueError(f"expected a list of {length or 'some'} numbers, got {values}")
    return values


# How a CSV cell becomes a value, and what may stand there; an empty cell is null.
CELLS: dict[str, tuple[Callable[[str], Any], str]] = {
    "video_id": (str, "text"),
    "video_uri": (str, "text"),
    "object_id": (int, "a whole number"),
    "frame_index": (int, "a whole number"),
    "time_seconds": (float, "a number"),
    "points_xy": (
        lambda cell: [_numbers(point, 2) for point in json.loads(cell)],
        "[x, y] of each point in a list, such as [[50, 100]]",
    ),
    "point_labels": (
        lambda cell: _numbers(json.loads(cell)),
        "a 1 or 0 for each point in a list, such as [1]",
    ),
    "box_xyxy": (lambda cell: _numbers(json.loads(cell), 4), "[x0, y0, x1, y1], such as [60, 105, 125, 312]"),
    "mask_png": (str, "text"),  # instead of mask_rle: an image, relative to the CSV; not 0 is the object
    "label": (str, "text"),
    "prompt_video_uri": (str, "text"),
    "kind": (str, "text"),
}

# What a person may read in a CSV and no manifest needs, of `jobs.review`; and what it leaves to be filled in.
NOTES = frozenset({"severity", "reasons", "image"})
FILLED_IN = ("points_xy", "point_labels", "box_xyxy", "mask_png")
MAX_IDS_SHOWN = 20


class PromptKind(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """How an object of the truth is pointed out to the model."""

    mask = "mask"
    box = "box"
    click = "click"


def write_manifest(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows, dicts of manifest columns, as a Parquet manifest: complete or not at all."""
    try:
        table = pa.Table.from_pylist(rows, schema=schemas.MANIFEST)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ManifestError(f"{path}: a value does not fit its column: {error}") from None
    with complete_or_absent(path) as partial:
        pq.write_table(table, partial)


def rows_from_csv(path: Path, out_folder: Path, base: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return the manifest rows of a CSV, its relative URIs rewritten to hold from `out_folder` too.

    Columns are the manifest's; lists are JSON (`[[320, 180]]`), and `mask_png` names an image
    in place of `mask_rle`. Notes of `jobs.review` are left out, and rows of it that nobody filled in.

    Args:
        base: Rows of a manifest that these go with, in `out_folder`; they say where its videos are.

    Raises:
        ManifestError: all cells that can't be read, and columns that no manifest has.
        InputMissing: there is no such CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            lines = [(reader.line_num, cells) for cells in reader]
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}") from None
    names = set(reader.fieldnames or ())
    unknown = sorted(names - set(CELLS) - NOTES)
    faults = [f"{path}: column {name} is unknown; allowed: {', '.join(CELLS)}" for name in unknown]
    if names & NOTES:
        lines = _filled_in(path, lines)
    known = {row["video_id"]: row["video_uri"] for row in base}
    rows = []
    for line, cells in lines:
        row = _csv_row(path, line, cells, faults)
        faults += _missing(path, line, row, known)
        where_known = {"video_uri": known.get(row.get("video_id"))}
        rows.append(where_known | _moved(row, str(path.parent), out_folder))
    if faults:
        raise ManifestError("\n".join(faults))
    return rows


def rows_of_manifest(uri: str, out_folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a Parquet manifest, its relative URIs rewritten to hold from `out_folder` too.

    Raises:
        ManifestError: a column is missing or of a wrong type.
        InputMissing: there is no such manifest.
    """
    rows, faults = read_rows(uri)
    if faults:
        raise ManifestError("\n".join(map(str, faults)))
    return [_moved(row.values, base_of(uri), out_folder) for row in rows]


def _moved(row: dict[str, Any], folder: str, out_folder: Path) -> dict[str, Any]:
    """Return a row of a manifest in one folder as one of a manifest in another."""
    if Path(folder).absolute() == out_folder.absolute():
        return row
    uris = {name: row[name] for name in ("video_uri", "prompt_video_uri") if row.get(name)}
    return {**row, **{name: resolved(uri, folder) for name, uri in uris.items()}}


def rows_from_truth(truth: Path, prompt: PromptKind, out_folder: Path) -> Iterator[dict[str, Any]]:
    """Yield one prompt on frame 0 for each object of `<truth>/<video_id>/{frames,masks}/`.

    A mask of 0 and 255 alone shows object 1; otherwise each value but 0 is an object id.

    Raises:
        InputMissing: no such folders, or no mask of a first frame.
    """
    folders = sorted(masks.parent for masks in truth.glob("*/masks"))
    if not folders:
        raise InputMissing(f"{truth}: expected <video_id>/frames and <video_id>/masks, found none")
    for folder in folders:
        for object_id, mask in _objects_on_first_frame(folder).items():
            yield {
                "video_id": folder.name,
                "video_uri": os.path.relpath(folder / "frames", out_folder),
                "object_id": object_id,
                "frame_index": 0,
            } | prompt_columns(mask, prompt)


def prompt_columns(mask: np.ndarray, prompt: PromptKind) -> dict[str, Any]:
    """Return the manifest columns that point out a mask, (height, width) bool with a pixel set."""
    if prompt is PromptKind.mask:
        return {"mask_rle": _encoded(mask)}
    if prompt is PromptKind.click:
        return {"points_xy": [click_of(mask)], "point_labels": [1]}
    ys, xs = np.nonzero(mask)
    return {"box_xyxy": [int(value) for value in (xs.min(), ys.min(), xs.max(), ys.max())]}


def click_of(mask: np.ndarray) -> list[float]:
    """Return [x, y] of the pixel farthest from the mask's edge; the image's border counts as edge."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(distances.argmax(), distances.shape)
    return [float(x), float(y)]


def _filled_in(path: Path, lines: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the lines that somebody filled in, and tell of the others."""
    filled_in = [(line, cells) for line, cells in lines if any(cells.get(name) for name in FILLED_IN)]
    if len(filled_in) < len(lines):
        left_out = len(lines) - len(filled_in)
        logger.info("%s: rows left out, since nothing is filled in: %d of %d", path, left_out, len(lines))
    return filled_in


def _csv_row(path: Path, line: int, cells: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column, cell in cells.items():
        if column not in CELLS or not cell:
            continue
        read, allowed = CELLS[column]
        try:
            row[column] = read(cell)
        except (ValueError, TypeError):
            faults.append(f"{path}, line {line}, column {column}: found {cell!r}; allowed: {allowed}")
    if "mask_png" in row:
        row["mask_rle"] = _encoded(_labels(path.parent / row.pop("mask_png")) > 0)
    if cells.get("point_labels") and not cells.get("points_xy"):
        found = f"{cells['point_labels']!r} without points_xy"
        faults.append(f"{path}, line {line}, column point_labels: found {found}; allowed: one label a point")
    for column in ("video_id", "object_id"):
        if not cells.get(column):
            faults.append(f"{path}, line {line}, column {column}: nothing; allowed: a value")
    return row


def _missing(path: Path, line: int, row: dict[str, Any], known: Mapping[str, str]) -> Iterator[str]:
    """Yield the fault of a row that does not say where its video is.

    Args:
        known: Where the videos of the base manifest are, by id.
    """
    video_id = row.get("video_id")
    if row.get("video_uri") or video_id in known:
        return
    if known and video_id:
        ids = [*map(repr, islice(known, MAX_IDS_SHOWN)), *["..."] * (len(known) > MAX_IDS_SHOWN)]
        found, allowed = (
            f"{video_id!r}, which base= does not know",
            f"{', '.join(ids)}, or any with a video_uri",
        )
        yield f"{path}, line {line}, column video_id: found {found}; allowed: {allowed}"
    elif not known:
        yield (
            f"{path}, line {line}, column video_uri: nothing; allowed: a value, or base=MANIFEST, "
            "a manifest that says where the videos are"
        )


def _objects_on_first_frame(folder: Path) -> dict[int, np.ndarray]:
    first = image_paths(folder / "frames")[0]
    mask_path = folder / "masks" / f"{first.stem}.png"
    labels = _labels(mask_path)
    ids = [int(value) for value in np.unique(labels) if value]
    if ids == [255]:
        return {1: labels == 255}
    return {object_id: labels == object_id for object_id in ids}


def _encoded(mask: np.ndarray) -> dict[str, Any]:
    return dict(coco.encode(np.asfortranarray(mask, np.uint8)))


def _labels(path: Path) -> np.ndarray:
    """Return an image's palette indices or grey values, (height, width) uint8."""
    try:
        with Image.open(path) as image:
            return np.array(image if image.mode in ("P", "L") else image.convert("L"))
    except OSError as error:
        raise InputMissing(f"{path}: no mask image to be read: {error.strerror or error}") from None
