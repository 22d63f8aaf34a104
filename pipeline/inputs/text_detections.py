"""Detections in text files: YOLO's, one a frame, and MOTChallenge's, one a video.

What can't be read is added to a list of faults; the other lines are yielded.
"""

import posixpath
import re
from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as NoIni
from typing import Any
from urllib.parse import unquote

from fsspec.core import url_to_fs

from pipeline.inputs.coco_detections import corners
from pipeline.inputs.manifest_table import Fault, Row, resolved
from pipeline.inputs.source import faults_named
from pipeline.storage.uris import shown

YOLO_LINE = "class x y width height [score], the box in shares of the frame's width and height"
YOLO_NAME = re.compile(r"(?:(?P<video>.+)_)?(?P<frame>\d+)")
MOT_LINE = "frame,id,x,y,width,height,score,..."
DETECTED, TRUTH, ABOUT = "det/det.txt", "gt/gt.txt", "seqinfo.ini"  # of a MOTChallenge sequence


def rows_from_yolo(uri: str, names_uri: str | None, faults: list[Fault]) -> Iterator[Row]:
    """Yield the rows of a folder's files, one file a frame: `<video_id>/12.txt` or `<video_id>_12.txt`."""
    files = dict(_text_files(uri))
    names = files.pop("classes.txt", "").splitlines()
    if names_uri is not None:
        names = next((text.splitlines() for _, text in _text_files(names_uri)), [])
    for name, text in files.items():
        file, folder = _place(uri, name), posixpath.dirname(name)
        match = YOLO_NAME.fullmatch(posixpath.basename(name).removesuffix(".txt"))
        video_id = folder or (match and match["video"])
        if match is None or not video_id:
            wanted = "<video_id>/<frame>.txt or <video_id>_<frame>.txt"
            faults.append(Fault(file, None, "(name)", posixpath.basename(name), wanted))
            continue
        for number, words in _lines(text, None):
            try:
                kind, values = _yolo_values(words)
            except (ValueError, OverflowError):
                faults.append(Fault(file, number, "(line)", " ".join(words), YOLO_LINE))
                continue
            if names and kind >= len(names):
                faults.append(Fault(file, number, "class", str(kind), f"below {len(names)}"))
            label = names[kind] if kind < len(names) else str(kind)
            frame_index = int(match["frame"])
            yield _row(file, number, unquote(video_id), frame_index=frame_index, label=label, **values)


def rows_from_mot(uri: str, faults: list[Fault]) -> Iterator[Row]:
    """Yield the rows of one file a video: `<video_id>.txt`, or MOTChallenge's `<video_id>/det/det.txt`.

    Of a sequence's folder `seqinfo.ini` says where its frames are; its truth is no detection.
    """
    files = dict(_text_files(uri))
    detected = [name for name in files if f"/{name}".endswith(f"/{DETECTED}")]
    for name in detected or [name for name in files if name.endswith(".txt") and not name.endswith(TRUTH)]:
        file, sequence = _place(uri, name), name.removesuffix(DETECTED).rstrip("/")
        video_id, video_uri = unquote(name.removesuffix(".txt")), None
        if detected:
            video_id = unquote(sequence) or posixpath.basename(resolved(uri, ".").rstrip("/"))
            about = posixpath.join(sequence, ABOUT)
            video_uri = _frames_of(_place(uri, about), files.get(about), sequence, faults)
        for number, words in _lines(files[name], ","):
            try:
                values = _mot_values(words)
            except (ValueError, OverflowError):
                faults.append(Fault(file, number, "(line)", ",".join(words), MOT_LINE))
                continue
            yield _row(file, number, video_id, video_uri=video_uri, **values)


def _yolo_values(words: list[str]) -> tuple[int, dict[str, Any]]:
    """Return a line's class, and its box and score."""
    kind, x, y, width, height, *score = map(float, words)
    if len(score) > 1 or kind != int(kind) or kind < 0:
        raise ValueError
    box = corners(x - width / 2, y - height / 2, width, height)
    return int(kind), {"box_xyxy": box, "score": score[0] if score else 1.0, "is_share": True}


def _mot_values(words: list[str]) -> dict[str, Any]:
    frame, _, x, y, width, height, score, *_ = map(float, words)
    if frame != int(frame):
        raise ValueError
    # -1 stands for "none" in what has no scores
    score = 1.0 if score == -1 else score
    return {"frame_index": int(frame), "box_xyxy": corners(x, y, width, height), "score": score}


def _frames_of(file: str, about: str | None, sequence: str, faults: list[Fault]) -> str | None:
    """Return the folder of a sequence's frames, as seen from the folder of all; None if nothing says."""
    if about is None:
        return None
    parser = ConfigParser()
    try:
        parser.read_string(about)
        return posixpath.join(sequence, parser["Sequence"]["imDir"])
    except (NoIni, KeyError) as error:
        faults.append(Fault(file, None, "imDir", str(error).splitlines()[0], "[Sequence] with imDir=img1"))
        return None


def _row(file: str, number: int, video_id: str, **values: Any) -> Row:
    return Row(file, number, {"video_id": video_id, "video_uri": None, "label": None, **values})


def _place(uri: str, name: str) -> str:
    """Return the name of a file for people to read."""
    return shown(uri) if shown(uri).endswith(name) else posixpath.join(shown(uri), name)


def _text_files(uri: str) -> Iterator[tuple[str, str]]:
    """Yield the names below `uri` and the contents of a text file, or of all of a folder."""
    with faults_named(uri):
        fs, path = url_to_fs(uri)
        is_file = fs.info(path)["type"] != "directory"
        found = [path] if is_file else sorted(n for n in fs.find(path) if n.endswith((".txt", ABOUT)))
        for name in found:
            text = fs.cat_file(name).decode("utf-8-sig", errors="replace")
            yield posixpath.basename(name) if is_file else posixpath.relpath(name, path), text


def _lines(text: str, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number, from 0, and the words of each line that is not empty."""
    for number, line in enumerate(text.splitlines()):
        if line.strip():
            yield number, [word.strip() for word in line.split(separator)]
