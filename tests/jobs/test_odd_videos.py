"""All videos that break decoders in one manifest: the run ends by itself, and none harms another."""

import pyarrow.parquet as pq
import pytest

from pipeline.errors import PipelineError
from tests.clips import write_manifest
from tests.inputs.test_video import ODD_FILES
from tests.jobs.conftest import run_job


def prompt(name, folder):
    return {
        "video_id": name,
        "video_uri": str(folder / name),
        "object_id": 1,
        "frame_index": 0,
        "points_xy": [[0.4, 0.4]],  # inside even where the video is a single pixel
        "point_labels": [1],
    }


@pytest.mark.slow
@pytest.mark.ray
def test_every_odd_video_is_segmented_whole_or_quarantined_with_its_class(shared_data, tmp_path):
    manifest = write_manifest(
        tmp_path / "odd.parquet", [prompt(name, (shared_data / "odd").resolve()) for name in ODD_FILES]
    )
    code, output = run_job(
        "segment",
        *(f"manifest={manifest}", f"run={tmp_path / 'run'}", "precision=fp32"),
        *("runner.workers=2", "model.image_size_px=64", "retry.max_failed_fraction=0.5"),
    )
    assert code == 0, output
    rows = {row["video_id"]: row for row in pq.read_table(tmp_path / "run" / "videos.parquet").to_pylist()}
    assert {name: found_outcome(row) for name, row in rows.items()} == {
        name: expected_outcome(expected) for name, (expected, _) in ODD_FILES.items()
    }


def found_outcome(row):
    return row["frames"] if row["status"] == "done" else (row["status"], row["fault_class"], row["attempts"])


def expected_outcome(expected: int | type[PipelineError]):
    return expected if isinstance(expected, int) else ("quarantined", expected.fault_class.value, 1)
