"""Small real videos and manifests, made for the tests."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schemas import MANIFEST

SIZE_HW = (96, 160)
DISC_BOX = [18.0, 26.0, 44.0, 52.0]
SQUARE_BOX = [108.0, 50.0, 132.0, 74.0]


def moving_shapes(num_frames: int) -> Iterable[np.ndarray]:
    """Yield (96, 160, 3) uint8 frames: a red disc moves right, a blue square left, over a texture."""
    texture = np.random.default_rng(1).integers(70, 110, (*SIZE_HW, 3), dtype=np.uint8)
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    for t in range(num_frames):
        image = texture.copy()
        image[(abs(rows - 62) < 12) & (abs(columns - 120 + t) < 12)] = (40, 60, 220)
        image[(rows - 39) ** 2 + (columns - 31 - t) ** 2 < 13**2] = (220, 50, 40)
        yield image


def write_video(path: Path, images: Iterable[np.ndarray], frames_per_second: int = 25) -> Path:
    """Encode images as H.264 in MP4."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=frames_per_second, options={"crf": "12"})
        stream.height, stream.width = SIZE_HW
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, frames_per_second)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_manifest(path: Path, rows: list[dict]) -> Path:
    """Write prompts in the manifest schema; columns not given are null."""
    pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST), path)
    return path


def box(video_id: str, object_id: int = 1, frame_index: int = 0, box_xyxy=None, label=None) -> dict:
    """Return a manifest row of a box, on a video beside the manifest."""
    return {
        "video_id": video_id,
        "video_uri": f"{video_id}.mp4",
        "object_id": object_id,
        "frame_index": frame_index,
        "box_xyxy": box_xyxy or DISC_BOX,
        "label": label,
    }
