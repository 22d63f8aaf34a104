"""`objects.parquet`: the same after any stop, from committed shards alone, with embeddings of one's own."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.engine.config import Directions, TrackingConfig
from pipeline.errors import UsageError
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.records import Prompt
from pipeline.stages.extractor import crop, embed
from pipeline.stages.objects import IdentityConfig, write_objects
from pipeline.work.run_folder import RunFolder
from pipeline.work.shards import in_directions
from tests.clips import DISC_BOX
from tests.outputs.tables import encoded
from tests.stages.segmenting import CONFIG, Cut, segment

HERE = "tests.stages.test_objects"


def mean_colour(pixels, mask):
    """An extractor: (3,), the mean colour of the object."""
    return pixels[mask].mean(0)


def of_wrong_shape(pixels, mask):
    return np.ones((2, 3))


@pytest.fixture(scope="module")
def finished(shard, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    segment(shard, folder)
    return folder


def objects_of(folder):
    write_objects(RunFolder.of(str(folder)))
    return {row["object_id"]: row for row in pq.read_table(folder / "objects.parquet").to_pylist()}


def test_every_object_of_the_masks_has_a_row(finished):
    rows = objects_of(finished)
    assert [(row["video_id"], i, row["label"]) for i, row in rows.items()] == [
        ("shapes", 1, "disc"),
        ("shapes", 5, None),
    ]
    assert all(len(row["embedding"]) == 256 and row["extractor"] == "sam2" for row in rows.values())
    assert rows[1]["frames_visible"] > 10 and rows[1]["sure_spans"]


@pytest.mark.parametrize("stop_at", [7, 25])
def test_stopping_and_resuming_changes_no_row(shard, finished, tmp_path, stop_at):
    def cut(frames):
        if frames == stop_at:
            raise Cut

    with pytest.raises(Cut):
        segment(shard, tmp_path, cut)
    segment(shard, tmp_path)
    assert objects_of(tmp_path) == objects_of(finished)


def test_no_mask_depends_on_embeddings_and_without_them_the_rest_of_the_row_is_there(
    shard, undisturbed, finished, tmp_path
):
    config = replace(CONFIG, identity=IdentityConfig(embeddings=False))
    _, table = segment(shard, tmp_path, config=config)
    assert table.equals(undisturbed, check_metadata=True)
    of_embedding = {"embedding": None, "embedding_frames": [], "extractor": None}
    assert objects_of(tmp_path) == {i: row | of_embedding for i, row in objects_of(finished).items()}


def test_a_shard_of_a_version_without_objects_is_described_by_its_masks(shard, finished, tmp_path):
    segment(shard, tmp_path)
    marker = tmp_path / "_commit" / "shapes.json"
    record = json.loads(marker.read_text())
    marker.write_text(json.dumps({key: value for key, value in record.items() if key != "kept"}))
    rows = objects_of(tmp_path)
    assert [row["embedding"] for row in rows.values()] == [None, None]
    assert rows[1]["sure_spans"] == objects_of(finished)[1]["sure_spans"]


def test_what_no_marker_names_is_not_in_the_table(shard, tmp_path):
    segment(shard, tmp_path)
    (tmp_path / "_commit" / "shapes.json").unlink()
    assert objects_of(tmp_path) == {}


def test_an_extractor_of_ones_own_sees_the_objects_on_their_best_frames(shard, finished, tmp_path):
    config = replace(CONFIG, identity=IdentityConfig(extractor=f"{HERE}:mean_colour"))
    segment(shard, tmp_path, config=config)
    rows, own = objects_of(tmp_path), objects_of(finished)
    red, _, blue = rows[1]["embedding"]
    assert red > 2 * blue
    red, _, blue = rows[5]["embedding"]
    assert blue > 2 * red
    for i, row in rows.items():
        assert row["extractor"] == f"{HERE}:mean_colour"
        assert set(row["embedding_frames"]) == set(own[i]["embedding_frames"])
        assert np.linalg.norm(row["embedding"]) == pytest.approx(1, abs=1e-5)


def test_of_two_passes_the_first_key_frame_counts_once(shard, tmp_path):
    prompt = Prompt(1, 5, box_xyxy=(DISC_BOX[0] + 5, DISC_BOX[1], DISC_BOX[2] + 5, DISC_BOX[3]))
    late = replace(shard, prompts=(prompt,))
    # So many frames are kept that the key frame is among them, whichever is the best.
    both = replace(
        CONFIG, tracking=TrackingConfig(direction=Directions.both), identity=IdentityConfig(best_frames=64)
    )
    for one in in_directions(late, Directions.both.each):
        segment(one, tmp_path, config=both)
    row = objects_of(tmp_path)[1]
    assert row["embedding_frames"] == sorted(set(row["embedding_frames"]))
    assert 5 in row["embedding_frames"]
    assert len(row["sure_spans"]) == 1


def test_a_crop_is_the_tight_box_at_the_frames_size():
    mask = np.zeros((8, 12), bool)
    mask[2:6, 4:8] = True
    image = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    pixels, inside = crop(image, encoded(mask[None])[0])
    assert (pixels == image[2:6, 4:8]).all() and inside.all()
    pixels, inside = crop(image[::2, ::2], encoded(mask[None])[0])  # a frame that was scaled down
    assert pixels.shape == (2, 2, 3) and inside.all()


@pytest.mark.parametrize("name", ["no_such_module:f", f"{HERE}:no_such_function", f"{HERE}:of_wrong_shape"])
def test_an_extractor_that_is_not_there_or_gives_no_vector_is_named(video, name):
    mask = encoded(np.ones((1, 96, 160), bool))[0]
    with pytest.raises(UsageError, match=f"identity.extractor={name}"):
        embed(name, lambda indices: open_frames(video, FramesConfig(), only=indices), {0: {1: mask}})


@pytest.mark.parametrize(
    "wrong",
    [{"best_frames": 0}, {"extractor": "no_function"}, {"extractor": "a:b", "embeddings": False}],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=f"identity.{next(iter(wrong))}"):
        IdentityConfig(**wrong)
