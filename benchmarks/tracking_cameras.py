"""One person by four cameras, prompted in each or in one: `python -m benchmarks.tracking_cameras DIR`.

DIR holds `cam01.mp4` to `cam04.mp4` of the single-person demo of perfanalytics/pose2sim. Nobody has drawn
true masks of it: what is measured is the IoU of the found mask's box with one drawn by eye, on four frames.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import supervision as sv

from benchmarks.report import Row, arguments, save, save_markdown, show
from benchmarks.tracking_settings import is_there
from benchmarks.truth import EXACT, job
from pipeline.inputs.manifest_write import write_manifest
from pipeline.outputs.reader import read_masks

FRAMES = (0, 33, 66, 99)
# x0, y0, x1, y1 in pixels, drawn by eye, on each of these frames; good to about 10 px.
BOXES_XYXY = {
    "cam01": ((245, 325, 565, 1165), (140, 410, 760, 1178), (368, 472, 845, 1278), (433, 475, 1078, 1320)),
    "cam02": ((405, 392, 750, 1122), (300, 450, 732, 1136), (382, 456, 752, 1168), (190, 442, 802, 1234)),
    "cam03": ((480, 415, 800, 1322), (290, 453, 726, 1231), (202, 450, 604, 1231), (2, 426, 517, 1165)),
    "cam04": ((157, 476, 664, 1412), (150, 437, 939, 1256), (229, 424, 796, 1251), (227, 388, 778, 1126)),
}
OWN, REFERENCE = "a box in each", "a box in cam01, the others by reference"
TEXT = """# One person by four cameras

IoU of the found mask's box with one drawn by eye, on each frame: nano, fp32, a box on frame 0 as prompt."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("cameras", type=Path, metavar="DIR")
    options = parser.parse_args()
    settings = [OWN, REFERENCE] if is_there("prompt.video_uri") else [OWN]
    figures = [figure for name in settings for figure in measure(name, options.cameras.resolve())]
    rows = [_row(figure) for figure in figures]
    show("One person by four cameras", rows)
    save(options.out, "tracking_cameras", figures)
    save_markdown(options.out, "tracking_cameras", TEXT, rows)


def measure(setting: str, cameras: Path) -> Iterator[dict[str, Any]]:
    """Yield one figure a camera: its IoU on each of `FRAMES`."""
    with TemporaryDirectory() as folder:
        manifest, run = Path(folder) / "prompts.parquet", Path(folder) / "run"
        write_manifest([_prompt(setting, camera, cameras) for camera in BOXES_XYXY], manifest)
        job("segment", f"manifest={manifest}", f"run={run}", *EXACT)
        for camera, boxes in BOXES_XYXY.items():
            found = {frame.frame_index: frame.boxes_xyxy[0] for frame in read_masks(run, video_id=camera)}
            ious = [_iou(found.get(t), box) for t, box in zip(FRAMES, boxes, strict=True)]
            yield {"setting": setting, "camera": camera, "box_iou": dict(zip(FRAMES, ious, strict=True))}


def _prompt(setting: str, camera: str, cameras: Path) -> dict[str, Any]:
    prompted = camera if setting == OWN else "cam01"
    row = {
        "video_id": camera,
        "video_uri": str(cameras / f"{camera}.mp4"),
        "object_id": 1,
        "frame_index": 0,
        "box_xyxy": BOXES_XYXY[prompted][0],
    }
    return row if prompted == camera else row | {"prompt_video_uri": str(cameras / f"{prompted}.mp4")}


def _iou(found: tuple[float, ...] | None, true: tuple[float, ...]) -> float:
    return 0.0 if found is None else float(sv.box_iou_batch(np.array([found]), np.array([true]))[0, 0])


def _row(figure: dict[str, Any]) -> Row:
    row = {"prompt": figure["setting"], "camera": figure["camera"]}
    return row | {f"frame {t}": f"{iou:.2f}" for t, iou in figure["box_iou"].items()}


if __name__ == "__main__":
    main()
