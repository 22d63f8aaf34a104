"""The masks are plain Parquet: three readers, one line each, nothing of this project."""

import duckdb
import numpy as np
import polars as pl
import pyarrow.dataset as ds
import pycocotools.mask
import pytest

from pipeline import read_masks
from tests.outputs.tables import frame_masks, square, write_masks

EMPTY = np.zeros((12, 16), bool)

READERS = [
    pytest.param(lambda run: ds.dataset(f"{run}/masks").to_table().to_pylist(), id="pyarrow"),
    pytest.param(
        lambda run: duckdb.sql(f"FROM '{run}/masks/**/*.parquet'").to_arrow_table().to_pylist(), id="duckdb"
    ),
    pytest.param(lambda run: pl.read_parquet(f"{run}/masks/**/*.parquet").to_dicts(), id="polars"),
]


@pytest.fixture
def run(tmp_path):
    write_masks(
        tmp_path, "00012", [frame_masks(i, {1: square(i), 2: EMPTY}) for i in range(5)], {1: "bottle"}
    )
    write_masks(tmp_path, "camera=1/x y", [frame_masks(i, {3: square(i)}) for i in range(3)])
    return tmp_path


@pytest.mark.parametrize("read", READERS)
def test_every_reader_sees_the_same_rows(run, read):
    rows = sorted(read(run), key=lambda row: (row["video_id"], row["frame_index"], row["object_id"]))
    assert rows == read_masks(run).to_table().to_pylist()


@pytest.mark.parametrize("read", READERS)
def test_a_video_id_that_looks_like_a_number_stays_text(run, read):
    assert {row["video_id"] for row in read(run)} == {"00012", "camera=1/x y"}


@pytest.mark.parametrize("read", READERS)
def test_the_rle_of_a_row_is_decoded_as_it_is(run, read):
    row = next(row for row in read(run) if (row["object_id"], row["frame_index"]) == (1, 4))
    assert np.array_equal(pycocotools.mask.decode(row["rle"]), square(4))
