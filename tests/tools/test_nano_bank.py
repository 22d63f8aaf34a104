"""A bank is built of all that is there, of nothing that may not be trained on, and says what is missing."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from tests.clips import moving_shapes, write_video
from tests.tools.tiny import disk, drawn_object, write_tiny_bank
from tools.nano import bank
from tools.nano.bank_files import read_bank

DISC = {"source": "moving.mp4", "frame_index": 0, "box_xyxy": [0.1, 0.25, 0.3, 0.6]}
ABOUT = {
    "held_out": ["still.png"],
    "never": ["never.mp4"],
    "silhouettes": ["shapes.json"],
    "pictures_without": [],
    "boxes": [DISC],
}


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    """A folder with one of each: a video, an image, a silhouette, a picture, and what may not be used."""
    raw = tmp_path / "raw"
    (raw / bank.PICTURES).mkdir(parents=True)
    for name in ("moving.mp4", "never.mp4"):
        write_video(raw / name, moving_shapes(6))
    cv2.imwrite(str(raw / "still.png"), np.full((64, 96, 3), 90, np.uint8))
    shape = coco.encode(np.asfortranarray(disk((120, 120), (60, 60), 50)))
    rle = {"size": shape["size"], "counts": shape["counts"].decode()}
    (raw / "shapes.json").write_text(json.dumps([{"segmentation": rle}]))
    cv2.imwrite(str(raw / bank.PICTURES / "one.png"), drawn_object())
    about = tmp_path / "sources.json"
    about.write_text(json.dumps(ABOUT))
    monkeypatch.setattr(bank, "SOURCES", about)
    return raw


def test_a_bank_holds_all_that_is_there_but_for_what_is_never_trained_on(raw, tmp_path):
    bank.build(raw, tmp_path / "bank")
    built = read_bank(tmp_path / "bank")
    held_out = {source.name: source.held_out for source in built.sources}
    assert held_out["moving.mp4"] is False
    assert held_out["still.png"] is True
    assert "never.mp4" not in held_out
    assert (len(built.silhouettes), len(built.pictures)) == (1, 1)
    followed = next(track for track in built.tracks if track.is_object)
    assert built.sources[followed.source].name == "moving.mp4"
    rows, columns = np.nonzero(followed.mask(0))
    left, top, right, bottom = np.multiply(DISC["box_xyxy"], (160, 96, 160, 96))
    assert top <= rows.min() <= rows.max() <= bottom
    assert left <= columns.min() <= columns.max() <= right
    assert len(followed) == 6


@pytest.mark.parametrize("name", ["moving.mp4", "still.png", "shapes.json", bank.PICTURES])
def test_what_is_missing_is_named_before_anything_is_written(raw, tmp_path, name):
    (raw / name).rename(raw / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"without {name}; docs/nano.md"):
        bank.build(raw, tmp_path / "bank")
    assert not (tmp_path / "bank").exists()


def test_a_box_with_nothing_in_it_is_named(raw, tmp_path):
    empty = {**DISC, "box_xyxy": [0.1, 0.75, 0.3, 0.95]}
    bank.SOURCES.write_text(json.dumps({**ABOUT, "boxes": [empty]}))
    with pytest.raises(ValueError, match="moving.mp4: no object in box"):
        bank.build(raw, tmp_path / "bank")


def test_a_bank_is_not_written_over_another(raw, tmp_path):
    with pytest.raises(FileExistsError, match="holds a bank"):
        bank.build(raw, write_tiny_bank(tmp_path / "bank"))


def test_a_bank_of_an_older_program_is_refused_with_what_to_do(tmp_path):
    folder = write_tiny_bank(tmp_path / "bank")
    (folder / "pictures.npy").unlink()
    with pytest.raises(FileNotFoundError, match="to be made again"):
        read_bank(folder)
