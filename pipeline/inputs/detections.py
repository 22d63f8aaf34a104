"""What detectors leave behind, read and checked whole: Parquet, COCO JSON, YOLO text, MOT text."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import schemas
from pipeline.errors import InputMissing, ManifestError
from pipeline.inputs.detection import Detection
from pipeline.inputs.manifest_table import Fault, column_faults
from pipeline.inputs.probe import VideoFacts

MAX_FAULTS_SHOWN = 100


class DetectionFormat(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """How detections are stored."""

    parquet = "parquet"  # schema DETECTIONS
    coco = "coco"  # JSON: images with video_id and frame_index, annotations with bbox and score, categories
    yolo = "yolo"  # <video_id>/<frame>.txt: class, centre, width, height in shares of the frame, and score
    mot = "mot"  # <video_id>.txt: frame from 1, id, left, top, width, height, score


class Found(NamedTuple):
    """One detection as it stands in a file, not yet checked."""

    file: str
    row: int
    video_id: str
    values: dict[str, Any]  # of a Detection; with `is_share`, the box in shares of the frame's sides

    def fault(self, problem: Any, allowed: str, column: str = "box_xyxy") -> Fault:
        return Fault(self.file, self.row, column, str(problem), allowed)


FactsOf = Callable[[str], VideoFacts | None]  # by video id; None: no such video


def read_detections(path: Path, kind: DetectionFormat, facts_of: FactsOf) -> dict[str, list[Detection]]:
    """Return detections by video id, each video's in frame order.

    Args:
        facts_of: What is known of a video; boxes and frames must fit it.

    Raises:
        InputMissing: There is nothing at `path`.
        ManifestError: With every fault found in any file and row, one line each.
    """
    if not path.exists():
        raise InputMissing(f"{path}: no such file or folder of detections")
    found, faults = _READERS[kind](path)
    detections: dict[str, list[Detection]] = defaultdict(list)
    for one in found:
        detection, its_faults = _checked(one, facts_of(one.video_id))
        faults += its_faults
        if detection is not None:
            detections[one.video_id].append(detection)
    if faults:
        more = [f"... and {len(faults) - MAX_FAULTS_SHOWN} more"] if len(faults) > MAX_FAULTS_SHOWN else []
        lines = [f"{len(faults)} faults (rows count from 0)", *map(str, faults[:MAX_FAULTS_SHOWN]), *more]
        raise ManifestError("\n".join(lines))
    return {video: sorted(its, key=lambda d: d.frame_index) for video, its in detections.items()}


def write_detections(by_video: Mapping[str, Iterable[Detection]], path: Path) -> None:
    """Write detections as a Parquet file."""
    rows = [{"video_id": video, **vars(detection)} for video, its in by_video.items() for detection in its]
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.DETECTIONS), path)


def _checked(one: Found, facts: VideoFacts | None) -> tuple[Detection | None, list[Fault]]:
    if facts is None:
        return None, [one.fault(one.video_id, "a video that can be read", "video_id")]
    height, width = facts.size_hw
    values = dict(one.values)
    if values.pop("is_share", False):
        x0, y0, x1, y1 = values["box_xyxy"]
        values["box_xyxy"] = (x0 * width, y0 * height, x1 * width, y1 * height)
    try:
        detection = Detection(**values)
    except (ValueError, TypeError) as error:
        return None, [one.fault(error, "a detection", "(row)")]
    if detection.frame_index >= facts.num_frames_hint:
        last = facts.num_frames_hint - 1
        return None, [one.fault(detection.frame_index, f"0 to {last}", "frame_index")]
    clipped = _clipped(detection.box_xyxy, width, height)
    if clipped is None:
        return None, [one.fault(list(detection.box_xyxy), f"inside the frame, {width}x{height} pixels")]
    return Detection(detection.frame_index, clipped, detection.score, detection.label), []


def _clipped(
    box: tuple[float, float, float, float], width: int, height: int
) -> tuple[float, float, float, float] | None:
    """Return the part of a box in the frame: detectors go a little beyond. None if there is none."""
    x0, y0, x1, y1 = box
    inside = (max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1))
    return inside if inside[0] < inside[2] and inside[1] < inside[3] else None


def _parquet(path: Path) -> tuple[list[Found], list[Fault]]:
    table = pq.read_table(path)
    faults = list(column_faults(str(path), table.schema, schemas.DETECTIONS))
    if faults:
        return [], faults
    rows = enumerate(table.to_pylist())
    return [Found(str(path), i, row.pop("video_id"), _with_tuple(row)) for i, row in rows], []


def _with_tuple(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "box_xyxy": tuple(row["box_xyxy"] or ())}


def _coco(path: Path) -> tuple[list[Found], list[Fault]]:
    try:
        content = json.loads(path.read_text())
        images = {image["id"]: image for image in content["images"]}
        names = {category["id"]: category["name"] for category in content.get("categories", ())}
        found = [
            _coco_one(str(path), i, images[annotation["image_id"]], annotation, names)
            for i, annotation in enumerate(content["annotations"])
        ]
    except (ValueError, KeyError, TypeError) as error:
        allowed = "COCO JSON; images need video_id and frame_index, annotations image_id and bbox"
        return [], [Fault(str(path), None, "(all)", repr(error), allowed)]
    return found, []


def _coco_one(file: str, i: int, image: dict, annotation: dict, names: dict) -> Found:
    values = {
        "frame_index": image["frame_index"],
        "box_xyxy": _corners(*annotation["bbox"]),
        "score": annotation.get("score", 1.0),
        "label": names.get(annotation.get("category_id")),
    }
    return Found(file, i, str(image["video_id"]), values)


def _yolo(folder: Path) -> tuple[list[Found], list[Fault]]:
    names_file = folder / "classes.txt"
    names = names_file.read_text().splitlines() if names_file.is_file() else []
    found, faults = [], []
    for file in sorted(folder.glob("*/*.txt")):
        for i, words in _lines(file, None):
            try:
                kind, x, y, width, height, *score = map(float, words)
                box = _corners(x - width / 2, y - height / 2, width, height)
                values = {
                    "frame_index": int(file.stem.rpartition("_")[2]),
                    "box_xyxy": box,
                    "score": score[0] if score else 1.0,
                    "label": names[int(kind)] if names else str(int(kind)),
                    "is_share": True,
                }
                found.append(Found(str(file), i, unquote(file.parent.name), values))
            except (ValueError, IndexError) as error:
                faults.append(Fault(str(file), i, "(line)", str(error), "class x y width height [score]"))
    return found, faults


def _mot(folder: Path) -> tuple[list[Found], list[Fault]]:
    files = [folder] if folder.is_file() else sorted(folder.glob("*.txt"))
    found, faults = [], []
    for file in files:
        for i, words in _lines(file, ","):
            try:
                frame, _, left, top, width, height, score, *_ = map(float, words)
                values = {
                    "frame_index": int(frame) - 1,
                    "box_xyxy": _corners(left, top, width, height),
                    "score": 1.0 if score < 0 else score,  # -1 where there is none
                }
                found.append(Found(str(file), i, unquote(file.stem), values))
            except ValueError as error:
                faults.append(
                    Fault(str(file), i, "(line)", str(error), "frame,id,left,top,width,height,score,...")
                )
    return found, faults


def _lines(file: Path, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    for i, line in enumerate(file.read_text().splitlines()):
        if line.strip():
            yield i, line.split(separator)


def _corners(left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
    return left, top, left + width, top + height


_READERS: dict[DetectionFormat, Callable[[Path], tuple[list[Found], list[Fault]]]] = {
    DetectionFormat.parquet: _parquet,
    DetectionFormat.coco: _coco,
    DetectionFormat.yolo: _yolo,
    DetectionFormat.mot: _mot,
}
