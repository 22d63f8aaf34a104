import pyarrow as pa
import pyarrow.parquet as pq

from tests.inputs.clips import write_clip
from tests.jobs.conftest import run_job


def test_a_video_becomes_a_folder_and_again_changes_nothing(tmp_path):
    write_clip(tmp_path / "a.mp4", frames=5)
    arguments = [f"video={tmp_path / 'a.mp4'}", f"out={tmp_path / 'out'}", "max_width_px=32", "quality=80"]

    first, again = run_job("extract", *arguments), run_job("extract", *arguments)

    assert (first[0], again[0]) == (0, 0)
    assert "5 frames, 5 written now" in first[1]
    assert "5 frames, 0 written now" in again[1]
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 5


def test_a_manifest_becomes_a_folder_a_video_and_one_bad_video_stops_no_other(tmp_path):
    write_clip(tmp_path / "a.mp4", frames=5)
    plain = {"object_id": 1, "frame_index": 0, "box_xyxy": [1, 2, 3, 4]}
    (tmp_path / "large.mp4").write_bytes(bytes(1 << 20))
    rows = [
        {"video_id": "bad", "video_uri": "none.mp4"} | plain,
        {"video_id": "large", "video_uri": "large.mp4"} | plain,
        {"video_id": "../a b", "video_uri": "a.mp4"} | plain,
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")

    code, said = run_job(
        "extract", f"manifest={tmp_path / 'm.parquet'}", f"out={tmp_path / 'out'}", "source.max_bytes=1000000"
    )

    assert code == 2
    assert "given up: InputMissing" in said
    assert "given up: InputTooLarge" in said
    assert len(list((tmp_path / "out" / "%2E.%2Fa%20b").glob("*.jpg"))) == 5
