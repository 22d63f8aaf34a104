import pyarrow.parquet as pq
import pytest

from tests.conftest import REPOSITORY
from tests.jobs.conftest import run_job

CSV = REPOSITORY / "pipeline" / "bundled" / "clips" / "prompts.csv"


def test_a_csv_becomes_a_manifest_that_validates(tmp_path):
    code, said = run_job("manifest", f"csv={CSV}", f"out={tmp_path / 'm.parquet'}")

    assert code == 0
    assert "4 prompts of 3 videos" in said
    assert run_job("validate", f"manifest={tmp_path / 'm.parquet'}")[0] == 0


@pytest.mark.parametrize("prompt", ["mask", "box", "click"])
def test_truth_becomes_a_manifest_that_validates(prompt, shared_data, tmp_path):
    out = tmp_path / "m.parquet"

    code, _ = run_job(
        "manifest", f"truth={shared_data / 'truth' / 'davis'}", f"prompt={prompt}", f"out={out}"
    )

    assert code == 0
    assert run_job("validate", f"manifest={out}")[0] == 0
    assert pq.read_table(out)["video_id"].to_pylist() == [
        "kite-walk",
        "mallard-fly",
        "scooter-gray",
        "tennis",
    ]


@pytest.mark.parametrize("arguments", [[], [f"csv={CSV}", "truth=x"]])
def test_exactly_one_source_is_asked_for(arguments, tmp_path):
    code, said = run_job("manifest", *arguments, f"out={tmp_path / 'm.parquet'}")

    assert code == 1
    assert "exactly one of csv=FILE and truth=DIR" in said
