import pyarrow as pa
import pyarrow.parquet as pq

from tests.inputs.clips import write_clip
from tests.jobs.conftest import run_job


def manifest(folder, *rows):
    plain = {"video_id": "a", "video_uri": "a.mp4", "object_id": 1, "frame_index": 0}
    pq.write_table(pa.Table.from_pylist([plain | row for row in rows]), folder / "m.parquet")
    return folder / "m.parquet"


def test_a_good_manifest_is_summed_up(tmp_path):
    write_clip(tmp_path / "a.mp4", frames=5)

    code, said = run_job("validate", f"manifest={manifest(tmp_path, {'box_xyxy': [1, 2, 3, 4]})}")

    assert (code, said) == (0, "1 videos, 5 frames, 1 objects, 1 prompts: no faults\n")


def test_all_faults_are_printed_and_the_exit_code_is_one(tmp_path):
    write_clip(tmp_path / "a.mp4", frames=5)
    path = manifest(tmp_path, {"box_xyxy": [1, 2, 300, 4]}, {"box_xyxy": [1, 2, 3, 4], "object_id": -1})

    code, said = run_job("validate", f"manifest={path}")

    assert code == 1
    assert "row 0, column box_xyxy" in said
    assert "row 1, column object_id" in said
    assert "Traceback" not in said


def test_unreadable_videos_can_be_kept(tmp_path):
    path = manifest(tmp_path, {"box_xyxy": [1, 2, 3, 4]})

    code, said = run_job("validate", f"manifest={path}", "check.unreadable_videos=keep")

    assert code == 0
    assert "unreadable, kept: a" in said
