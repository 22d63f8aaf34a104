"""The same three detections in every format, as detectors and their tools write them."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import schemas
from pipeline.inputs.detection import Detection

# Of the video `a`, 200 x 100 pixels.
CAT = Detection(0, (20.0, 10.0, 60.0, 50.0), 0.75, "cat")
DOG = Detection(7, (100.0, 20.0, 180.0, 90.0), 0.5, "dog")
LATER_CAT = Detection(12, (30.0, 10.0, 70.0, 50.0), 0.25, "cat")

CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
IMAGES = [
    {"id": 30, "file_name": "a/000007.jpg", "video_id": 5, "frame_id": 7},
    {"id": 31, "file_name": "a/000000.jpg"},
    {"id": 32, "file_name": "a/000012.jpg"},
]
RESULTS = [
    {"image_id": 30, "category_id": 2, "bbox": [100, 20, 80, 70], "score": 0.5},
    {"image_id": 31, "category_id": 1, "bbox": [20, 10, 40, 40], "score": 0.75},
    {"image_id": 32, "category_id": 1, "bbox": [30, 10, 40, 40], "score": 0.25},
]


def write_detections(path: Path, rows: list[dict]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.DETECTIONS), path)
    return path


def row_of(detection: Detection, video_id: str = "a", **more) -> dict:
    return {"video_id": video_id, **vars(detection), **more}


def as_parquet(folder: Path) -> dict:
    path = write_detections(folder / "boxes.parquet", [row_of(d) for d in (DOG, LATER_CAT, CAT)])
    return {"uri": str(path), "format": "parquet"}


def as_coco_results(folder: Path) -> dict:
    """A list of results, as `pycocotools` takes it, and the file with the images beside it."""
    about = {"images": IMAGES, "categories": CATEGORIES, "videos": [{"id": 5, "name": "a"}]}
    (folder / "instances.json").write_text(json.dumps(about))
    (folder / "results.json").write_text(json.dumps(RESULTS))
    return {
        "uri": str(folder / "results.json"),
        "format": "coco",
        "images": str(folder / "instances.json"),
    }


def as_coco_annotations(folder: Path) -> dict:
    images = [{**image, "video_id": "a"} for image in IMAGES]
    content = {"images": images, "categories": CATEGORIES, "annotations": RESULTS}
    (folder / "instances.json").write_text(json.dumps(content))
    return {"uri": str(folder / "instances.json"), "format": "coco"}


def as_yolo(folder: Path) -> dict:
    """One file a frame in a folder of the video's."""
    (folder / "boxes" / "a").mkdir(parents=True)
    (folder / "boxes" / "classes.txt").write_text("cat\ndog\n")
    (folder / "boxes" / "a" / "000000.txt").write_text("0 0.2 0.3 0.2 0.4 0.75\n")
    (folder / "boxes" / "a" / "000007.txt").write_text("1 0.7 0.55 0.4 0.7 0.5\n\n")
    (folder / "boxes" / "a" / "000012.txt").write_text("0 0.25 0.3 0.2 0.4 0.25\n")
    return {"uri": str(folder / "boxes"), "format": "yolo"}


def as_ultralytics(folder: Path) -> dict:
    """All files in one folder, frames counted from 1, as `yolo predict save_txt save_conf` leaves them."""
    (folder / "labels").mkdir()
    (folder / "names.txt").write_text("cat\ndog\n")
    (folder / "labels" / "a_1.txt").write_text("0 0.2 0.3 0.2 0.4 0.75\n")
    (folder / "labels" / "a_8.txt").write_text("1 0.7 0.55 0.4 0.7 0.5\n")
    (folder / "labels" / "a_13.txt").write_text("0 0.25 0.3 0.2 0.4 0.25\n")
    names = str(folder / "names.txt")
    return {"uri": str(folder / "labels"), "format": "yolo", "names": names, "first_frame": 1}


MOT_LINES = """\
8,-1,100,20,80,70,0.5,-1,-1,-1
1,-1,20,10,40,40,0.75,-1,-1,-1
13,-1,30,10,40,40,0.25,-1,-1,-1
"""


def as_mot(folder: Path) -> dict:
    (folder / "boxes").mkdir()
    (folder / "boxes" / "a.txt").write_text(MOT_LINES)
    return {"uri": str(folder / "boxes"), "format": "mot"}


def as_one_mot_file(folder: Path) -> dict:
    (folder / "a.txt").write_text(MOT_LINES)
    return {"uri": str(folder / "a.txt"), "format": "mot"}


def as_mot_challenge(folder: Path) -> dict:
    (folder / "train" / "a" / "det").mkdir(parents=True)
    (folder / "train" / "a" / "det" / "det.txt").write_text(MOT_LINES)
    (folder / "train" / "a" / "gt").mkdir()
    (folder / "train" / "a" / "gt" / "gt.txt").write_text("1,7,10,20,30,40,1,1,0.8\n")
    return {"uri": str(folder / "train"), "format": "mot"}


FORMATS = [
    as_parquet,
    as_coco_results,
    as_coco_annotations,
    as_yolo,
    as_ultralytics,
    as_mot,
    as_one_mot_file,
    as_mot_challenge,
]


def faults_in(error) -> list[tuple[str, str]]:
    """Return row and column of each fault, in order."""
    return re.findall(r"row (\d+), column (\S+):", str(error.value))
