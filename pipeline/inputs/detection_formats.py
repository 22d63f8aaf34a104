"""What detectors leave behind, as rows of one kind: Parquet, COCO JSON, YOLO text, MOT text.

`docs/detections.md` shows a file of each. Values are as they stand in the file, not yet checked.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from fsspec.core import url_to_fs

from pipeline import schemas
from pipeline.inputs.coco_detections import corners, rows_from_coco
from pipeline.inputs.manifest_table import Fault, Row, read_rows
from pipeline.inputs.source import faults_named
from pipeline.storage.uris import shown

YOLO_LINE = "class x y width height [score], the box in shares of the frame's width and height"
MOT_LINE = "frame,id,x,y,width,height,score,..."
YOLO_NAME = re.compile(r"(?:(?P<video>.+)_)?(?P<frame>\d+)")


class DetectionFormat(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """How detections are stored."""

    parquet = "parquet"
    coco = "coco"
    yolo = "yolo"
    mot = "mot"


@dataclass
class DetectionFiles:
    """How detections lie in their files, and where the videos are that they are of."""

    format: DetectionFormat = DetectionFormat.parquet
    videos: str | None = None  # * in it stands for a video's name; null: the column video_uri
    images: str | None = None  # COCO: the file that describes the images, where results are a list alone
    names: str | None = None  # YOLO: file of class names, one a line; null: classes.txt beside them, if any
    first_frame: int | None = None  # number of a video's first frame; null: 1 in MOT text, else 0

    def __post_init__(self):
        if self.videos is not None and "*" not in self.videos:
            raise ValueError(f"videos must have * in it, where a video's name goes, got {self.videos}")

    @property
    def first(self) -> int:
        return int(self.format is DetectionFormat.mot) if self.first_frame is None else self.first_frame


def read_detection_rows(uri: str, files: DetectionFiles) -> tuple[list[Row], list[Fault]]:
    """Return rows with the columns of `schemas.DETECTIONS`, and what can't be read.

    YOLO's boxes are shares of the frame's size, told by `is_share`. Frame indices are as in the file.

    Raises:
        InputMissing: Nothing is at `uri`.
        InputUnavailable: The store does not answer.
    """
    if files.format is DetectionFormat.parquet:
        return read_rows(uri, schemas.DETECTIONS, "a Parquet file of detections; format= reads others")
    if files.format is DetectionFormat.coco:
        return rows_from_coco(uri, files.images)
    faults: list[Fault] = []
    reader = _yolo(uri, files.names, faults) if files.format is DetectionFormat.yolo else _mot(uri, faults)
    rows = list(reader)
    if not rows and not faults:
        faults.append(Fault(shown(uri), None, "(all)", f"no lines of {files.format.value}", "at least one"))
    return rows, faults


def _yolo(uri: str, names_uri: str | None, faults: list[Fault]) -> Iterator[Row]:
    """Yield the rows of a folder's files, one file a frame: `<video_id>/12.txt` or `<video_id>_12.txt`."""
    files = dict(_text_files(uri))
    names = files.pop("classes.txt", "").splitlines()
    if names_uri is not None:
        names = dict(_text_files(names_uri)).popitem()[1].splitlines()
    for name, text in files.items():
        file, folder = posixpath.join(shown(uri), name), posixpath.dirname(name)
        match = YOLO_NAME.fullmatch(posixpath.basename(name).removesuffix(".txt"))
        video_id = folder or (match and match["video"])
        if match is None or not video_id:
            wanted = "<video_id>/<frame>.txt or <video_id>_<frame>.txt"
            faults.append(Fault(file, None, "(name)", posixpath.basename(name), wanted))
            continue
        for number, words in _lines(text, None):
            try:
                yield Row(file, number, _yolo_values(video_id, int(match["frame"]), words, names))
            except (ValueError, IndexError, OverflowError):
                allowed = YOLO_LINE if not names else f"{YOLO_LINE}; class below {len(names)}"
                faults.append(Fault(file, number, "(line)", " ".join(words), allowed))


def _yolo_values(video_id: str, frame: int, words: list[str], names: list[str]) -> dict:
    kind, x, y, width, height, *score = map(float, words)
    if len(score) > 1 or kind != int(kind) or kind < 0:
        raise ValueError
    box = corners(x - width / 2, y - height / 2, width, height)
    label = names[int(kind)] if names else str(int(kind))
    values = {"video_id": video_id, "video_uri": None, "frame_index": frame, "box_xyxy": box, "label": label}
    return values | {"score": score[0] if score else 1.0, "is_share": True}


def _mot(uri: str, faults: list[Fault]) -> Iterator[Row]:
    """Yield the rows of one file a video: `<video_id>.txt`, or MOTChallenge's `<video_id>/det/det.txt`."""
    files = dict(_text_files(uri))
    # A challenge's own folders hold truth and facts beside what was detected.
    for name in [name for name in files if name.endswith("/det/det.txt")] or files:
        file = shown(uri) if shown(uri).endswith(name) else posixpath.join(shown(uri), name)
        video_id = name.removesuffix("/det/det.txt").removesuffix(".txt")
        for number, words in _lines(files[name], ","):
            try:
                frame, _, x, y, width, height, score, *_ = map(float, words)
                if frame != int(frame):
                    raise ValueError
            except (ValueError, OverflowError):
                faults.append(Fault(file, number, "(line)", ",".join(words), MOT_LINE))
                continue
            values = {"video_id": video_id, "video_uri": None, "frame_index": int(frame), "label": None}
            # -1 stands for "none" in what has no scores
            score = 1.0 if score == -1 else score
            yield Row(file, number, values | {"box_xyxy": corners(x, y, width, height), "score": score})


def _text_files(uri: str) -> Iterator[tuple[str, str]]:
    """Yield the names below `uri` and the contents of a text file, or of all `*.txt` of a folder."""
    with faults_named(uri):
        fs, path = url_to_fs(uri)
        is_file = fs.info(path)["type"] != "directory"
        found = [path] if is_file else sorted(name for name in fs.find(path) if name.endswith(".txt"))
        for name in found:
            text = fs.cat_file(name).decode("utf-8-sig", errors="replace")
            yield posixpath.basename(name) if is_file else posixpath.relpath(name, path), text


def _lines(text: str, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number, from 0, and the words of each line that is not empty."""
    for number, line in enumerate(text.splitlines()):
        if line.strip():
            yield number, [word.strip() for word in line.split(separator)]
