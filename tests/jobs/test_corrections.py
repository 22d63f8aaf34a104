"""Corrections in a manifest: a rerun computes what comes after them, and nothing else."""

import re
import shutil

import pyarrow.parquet as pq

from tests.clips import write_manifest
from tests.jobs.conftest import masks_in, run_job, segment


def test_a_correction_costs_what_comes_after_it_and_says_so(dataset, tmp_path):
    data, run = shutil.copytree(dataset, tmp_path / "data"), tmp_path / "run"
    keep = "checkpoint.keep_every_frames=10"
    assert run_job("segment", *segment(data, run, keep))[0] == 0
    before = masks_in(run)
    rows = pq.read_table(data / "prompts.parquet").to_pylist()
    correction = {"points_xy": [[61.0, 39.0]], "point_labels": [1], "box_xyxy": None, "kind": "correction"}
    write_manifest(data / "prompts.parquet", [*rows, rows[0] | correction | {"frame_index": 30}])

    assert run_job("segment", *segment(data, run, keep))[0] == 1
    code, output = run_job("segment", *segment(data, run, keep, "on_change=rerun"))

    assert code == 0, output
    assert "shard long: what is before frame 30 stays as it is" in output
    assert "3 shards: 2 done before" in output
    assert re.search(r"; 15 computed in", output)
    fresh = tmp_path / "fresh"
    assert run_job("segment", *segment(data, fresh))[0] == 0
    assert masks_in(run) == masks_in(fresh) != before
