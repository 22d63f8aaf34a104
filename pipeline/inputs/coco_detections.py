"""Detections in COCO's JSON: results of a detector, or annotations, on images that are frames of videos."""

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from fsspec.core import url_to_fs

from pipeline.inputs.manifest_table import Fault, Row
from pipeline.inputs.source import faults_named
from pipeline.storage.uris import shown

IMAGE = "video_id and frame_index (or frame_id), or a file_name such as <video_id>/12.jpg"
Place = tuple[str | None, int | None]  # video id and frame
RESULT = "image_id, category_id, bbox [x, y, width, height], score"


def rows_from_coco(uri: str, images_uri: str | None) -> tuple[list[Row], list[Fault]]:
    """Return the rows of a JSON file, and what can't be read in it.

    It holds a list of results, and another file the images; or images and annotations in one.
    """
    file = shown(uri)
    content, faults = _json(uri)
    if isinstance(content, list) and images_uri is not None:
        about, more = _json(images_uri)
        faults += more
    else:
        about = content
    if faults:
        return [], faults
    if not isinstance(about, dict) or not _are_dicts(about.get("images")):
        return [], [Fault(file, None, "images", "none", "a list of images in it, or in images=FILE")]
    results = content if isinstance(content, list) else content.get("annotations")
    if not _are_dicts(results) or not results:
        return [], [Fault(file, None, "annotations", "no list of any", f"a list of {RESULT}")]
    videos = _names(about.get("videos"))
    frames = _frames(file if about is content else shown(images_uri or ""), about["images"], videos, faults)
    labels = _names(about.get("categories"))
    rows = [Row(file, number, result) for number, result in enumerate(results)]
    return [_read(row, frames, labels, faults) for row in rows], faults


def corners(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return x, y, x + width, y + height


def _read(
    row: Row, frames: Mapping[Any, Place | None], labels: Mapping[Any, str], faults: list[Fault]
) -> Row:
    """Return a result as a row of detections, and add what can't be read in it to the faults.

    `wrong` names the columns that are not to be blamed once more.
    """
    place, found = _place_of(row, frames)
    category_id, box = _id(row.values, "category_id"), row.values.get("bbox")
    if labels and category_id not in labels:
        found["label"] = row.fault("category_id", category_id, f"one of {sorted(map(str, labels))}")
    if not _is_box(box):
        found["box_xyxy"] = row.fault("bbox", box, "[x, y, width, height]")
    faults += dict.fromkeys(found.values())
    values = {
        "video_id": place[0],
        "video_uri": None,
        "frame_index": place[1],
        "box_xyxy": corners(*box) if _is_box(box) else None,
        "score": row.values.get("score", 1.0),
        "label": labels.get(category_id, None if category_id is None else str(category_id)),
        "wrong": frozenset(found),
    }
    return Row(row.file, row.row, values)


def _place_of(row: Row, frames: Mapping[Any, Place | None]) -> tuple[Place, dict[str, Fault]]:
    """Return the video and the frame of a result, or what is wrong with its image by column."""
    image_id = _id(row.values, "image_id")
    place = frames.get(image_id)
    if place is not None:
        return place, {}
    fault = row.fault("image_id", image_id, "the id of an image")
    if image_id in frames:
        fault = row.fault("image_id", f"{image_id}, an image without a place in a video", IMAGE)
    return (None, None), dict.fromkeys(("video_id", "video_uri", "frame_index"), fault)


def _frames(
    file: str, images: list[dict[str, Any]], videos: Mapping[Any, str], faults: list[Fault]
) -> dict[Any, Place | None]:
    """Return the place of each image by its id, and add ids that tell no image to the faults."""
    frames: dict[Any, Place | None] = {}
    for number, image in enumerate(images):
        image_id = _id(image, "id")
        if image_id is None or image_id in frames:
            faults.append(Fault(file, number, "images.id", str(image.get("id")), "a whole number of its own"))
        else:
            frames[image_id] = _frame_of(image, videos)
    return frames


def _frame_of(image: dict[str, Any], videos: Mapping[Any, str]) -> Place | None:
    """Return the video and the frame that an image is; None if it does not say."""
    name = str(image.get("file_name", ""))
    digits = re.search(r"\d+$", posixpath.splitext(posixpath.basename(name))[0])
    frames = (_id(image, name) for name in ("frame_index", "frame_id"))
    video, frame = _id(image, "video_id"), next((f for f in frames if f is not None), None)
    video_id = posixpath.dirname(name) if video is None else videos.get(video, str(video))
    if frame is None and digits:
        frame = int(digits[0])
    return (video_id, frame) if video_id and isinstance(frame, int) else None


def _names(things: Any) -> dict[Any, str]:
    """Return names by id, of categories or videos."""
    things = things if _are_dicts(things) else []
    names = {_id(thing, "id"): str(thing.get("name", thing.get("id"))) for thing in things}
    return {number: name for number, name in names.items() if number is not None}


def _id(thing: Mapping[str, Any], name: str) -> int | str | None:
    """Return an id; other libraries write whole numbers as floats where a column has gaps."""
    value = thing.get(name)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _is_box(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and len(value) == 4 and all(isinstance(v, int | float) for v in value)


def _are_dicts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)


def _json(uri: str) -> tuple[Any, list[Fault]]:
    with faults_named(uri):
        fs, path = url_to_fs(uri)
        data = fs.cat_file(path)
    try:
        return json.loads(data), []
    except (ValueError, RecursionError) as error:
        return None, [Fault(shown(uri), None, "(all)", f"no JSON: {error}", "a JSON file")]
