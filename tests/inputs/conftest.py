"""A short video, and manifests over it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import schemas
from pipeline.inputs.detection_formats import DetectionFiles, DetectionFormat
from pipeline.inputs.detections import load_detections
from pipeline.inputs.manifest import ManifestConfig, load_manifest
from pipeline.inputs.source import SourceConfig
from pipeline.records import Direction
from tests.inputs.clips import write_clip


@pytest.fixture(scope="package")
def clip(tmp_path_factory):
    """A video of 20 frames, 64x48 pixels, 0.8 s."""
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", frames=20)


@pytest.fixture
def check(tmp_path, clip):
    """Write rows as a manifest, `video_id` and so on filled in, and load it."""

    def check(*rows, schema=schemas.MANIFEST, directions=(Direction.FORWARD,), **config):
        plain = {"video_id": "a", "video_uri": str(clip), "object_id": 1, "frame_index": 0}
        table = pa.Table.from_pylist([plain | row for row in rows], schema=schema)
        pq.write_table(table, tmp_path / "m.parquet")
        path = str(tmp_path / "m.parquet")
        return load_manifest(path, ManifestConfig(**config), SourceConfig(), directions)

    return check


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with the video `a`: 20 frames of 200 x 100 pixels."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "a.mp4", frames=20, size_hw=(100, 200))
    return folder


@pytest.fixture
def load(clips):
    def load(uri, format="parquet", check=None, **files):
        files = {"videos": f"{clips}/*.mp4"} | files
        read = DetectionFiles(DetectionFormat(format), **files)
        return load_detections(str(uri), read, check or ManifestConfig(), SourceConfig())

    return load
