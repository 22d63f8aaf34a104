"""How detections are stored, and their rows as they stand there, not yet checked."""

from dataclasses import dataclass
from enum import Enum

from pipeline import schemas
from pipeline.inputs.coco_detections import rows_from_coco
from pipeline.inputs.manifest_table import Fault, Row, read_rows
from pipeline.inputs.text_detections import rows_from_mot, rows_from_yolo
from pipeline.storage.uris import shown


class DetectionFormat(str, Enum):  # small letters, as users write them: OmegaConf goes by name
    """How detections are stored; `docs/detections.md` shows a file of each."""

    parquet = "parquet"
    coco = "coco"
    yolo = "yolo"
    mot = "mot"


@dataclass
class DetectionFiles:
    """How detections lie in their files, and where the videos are that they are of."""

    format: DetectionFormat = DetectionFormat.parquet
    videos: str | None = None  # * in it stands for a video's name; null: as the detections say
    images: str | None = None  # COCO: the file that describes the images, where results are a list alone
    names: str | None = None  # YOLO: file of class names, one a line; null: classes.txt beside them, if any
    first_frame: int | None = None  # number of a video's first frame; null: 1 in MOT text, else 0

    def __post_init__(self):
        if self.videos is not None and "*" not in self.videos:
            raise ValueError(f"videos={self.videos}: expected * in it, where a video's name goes")

    @property
    def first(self) -> int:
        return int(self.format is DetectionFormat.mot) if self.first_frame is None else self.first_frame


def read_detection_rows(uri: str, files: DetectionFiles) -> tuple[list[Row], list[Fault]]:
    """Return rows with the columns of `schemas.DETECTIONS`, and what can't be read.

    Frame indices are as in the file. Two columns more, if they are there: `is_share` tells that a box is in
    shares of the frame's size, `wrong` names the columns whose faults are among those returned.

    Raises:
        InputMissing: Nothing is at `uri`.
        InputUnavailable: The store does not answer.
    """
    if files.format is DetectionFormat.parquet:
        return read_rows(uri, schemas.DETECTIONS, "a Parquet file of detections; format= reads others")
    if files.format is DetectionFormat.coco:
        return rows_from_coco(uri, files.images)
    faults: list[Fault] = []
    is_yolo = files.format is DetectionFormat.yolo
    rows = list(rows_from_yolo(uri, files.names, faults) if is_yolo else rows_from_mot(uri, faults))
    if not rows and not faults:
        faults.append(Fault(shown(uri), None, "(all)", f"no lines of {files.format.value}", "at least one"))
    return rows, faults
