"""Made clips are the same for the same seed, and their masks are what can be seen."""

import cv2
import numpy as np
import pytest

from tests.tools.tiny import disk, drawn_object, tiny_bank
from tools.nano.backdrop import there_and_back
from tools.nano.bank_files import PATCH_PX, read_bank, write_bank
from tools.nano.motion import Path, cross, leave, vanish, wander
from tools.nano.pictures import picture, read_pictures
from tools.nano.regions import segment
from tools.nano.scenes import REAL, Actor, paint
from tools.nano.sprites import Deformation, Look, Sprite
from tools.nano.synth import Wish, make_clip
from tools.nano.tracks import carry, follow_object, mask_in_box

RED, BLUE = (250, 0, 0), (0, 0, 250)
SIDE = 64
STILL = np.tile(np.eye(3), (3, 1, 1))


def actor(colour, x, shown=(True, True, True)) -> Actor:
    """Return a disk of one colour, 32 pixels across, that stays where it is."""
    texture = np.full((PATCH_PX, PATCH_PX, 3), colour, np.uint8)
    shape = disk((PATCH_PX, PATCH_PX), (80, 80), 80) * 255
    stiff = Deformation(0.0, np.ones(2), np.zeros(4), np.zeros(2), np.zeros(2), 0.0, 0.0, None)
    path = Path(np.full((3, 2), (x, 0.5)), np.full(3, 0.5), np.zeros(3), np.zeros(3), 1.0, np.array(shown))
    return Actor(Sprite(Look(texture, shape), stiff), path)


def eroded(mask):
    return cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def test_a_mask_is_what_is_seen_of_an_object_and_nothing_of_what_another_hides():
    frames = np.zeros((3, SIDE, SIDE, 3), np.uint8)
    labels = paint(frames, [actor(RED, 0.4), actor(BLUE, 0.6)], STILL, None, in_front=False)
    for label, colour in ((1, RED), (2, BLUE)):
        off = np.abs(frames[0].astype(int) - colour).max(-1)
        assert (off[eroded(labels[0] == label)] < 25).all()  # but for the soft edge
        assert (off[eroded(labels[0] != label)] > 225).all()
    assert 0 < (labels == 1).sum() < 0.8 * (labels == 2).sum()


def test_an_object_that_is_not_shown_has_an_empty_mask_and_no_pixel():
    frames = np.zeros((3, SIDE, SIDE, 3), np.uint8)
    labels = paint(frames, [actor(RED, 0.5, shown=(True, False, True))], STILL, None, in_front=False)
    assert [bool((one == 1).any()) for one in labels] == [True, False, True]
    assert not frames[1].any()


def test_the_real_object_keeps_its_pixels_where_it_is_in_front():
    frames = np.full((3, SIDE, SIDE, 3), 90, np.uint8)
    real = np.zeros((3, SIDE, SIDE), bool)
    real[:, :, :32] = True
    labels = paint(frames, [actor(RED, 0.5)], STILL, real, in_front=True)
    assert (labels[real] == REAL).all()
    assert (frames[real] == 90).all()
    assert (labels == 1).any()


@pytest.mark.parametrize("seed", range(6))
def test_equal_seeds_give_equal_clips_whose_objects_are_all_seen_at_first(seed):
    wish = Wish(frames=5, side_px=SIDE, objects=3, eventful=2.0)
    one, other = (make_clip(tiny_bank(), np.random.default_rng(seed), wish) for _ in range(2))
    assert np.array_equal(one.frames, other.frames)
    assert np.array_equal(one.masks, other.masks)
    assert one.frames.shape == (5, SIDE, SIDE, 3)
    assert one.masks.shape[1:] == (5, SIDE, SIDE)
    assert one.masks[:, 0].any((1, 2)).all()
    assert (one.masks.sum(0) <= 1).all()  # no pixel shows two objects


def test_another_seed_gives_another_clip():
    wish = Wish(frames=2, side_px=SIDE, objects=1)
    one, other = (make_clip(tiny_bank(), np.random.default_rng(seed), wish) for seed in (0, 1))
    assert not np.array_equal(one.frames, other.frames)


def test_eventful_clips_have_frames_without_their_objects():
    wish = Wish(frames=8, side_px=SIDE, objects=3, eventful=2.0)
    masks = [make_clip(tiny_bank(), np.random.default_rng(seed), wish).masks for seed in range(12)]
    absent = np.concatenate([~one.any((2, 3)) for one in masks])
    assert 0.05 < absent.mean() < 0.6


def test_who_leaves_is_outside_for_a_while_and_never_at_first():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        path = wander(rng, 8, squeeze=1.0)
        gone = leave(path, rng)
        assert np.allclose(gone.centre[0], path.centre[0])
        assert np.abs(gone.centre - path.centre).max() > 1
        assert vanish(path, rng).shown[0]
        assert cross(path, rng).size.min() >= 0.9 * path.size.max()


def test_frames_are_shown_there_and_back():
    assert there_and_back(1, 1, 6, 4) == [1, 2, 3, 2, 1, 0]
    assert there_and_back(2, -1, 4, 4) == [2, 1, 0, 1]
    assert there_and_back(2, 0, 3, 4) == [2, 2, 2]
    assert there_and_back(0, 3, 2, 1) == [0, 0]


def test_a_box_and_flow_give_the_track_of_a_disk():
    bank = tiny_bank()
    frames, true = bank.sources[0].frames, bank.tracks[0]
    found = mask_in_box(frames[0], (16 / 96, 18 / 64, 44 / 96, 46 / 64))
    first, masks = carry(frames, 0, found, follow_object, reach=5)
    assert first == 0
    assert len(masks) >= 3
    for offset, mask in enumerate(masks):
        assert (mask & true.mask(offset)).sum() > 0.9 * (mask | true.mask(offset)).sum()


def test_a_segmentation_parts_what_differs():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 200
    assert segment(image)[:, [0, 59]].tolist() == [[segment(image)[0, 0], segment(image)[0, 59]]] * 40
    assert len(np.unique(segment(image))) == 2


def test_a_bank_is_read_as_it_was_written_and_its_parts_share_nothing(tmp_path):
    bank = tiny_bank(held_out=True)
    write_bank(tmp_path, bank.sources, bank.tracks, bank.silhouettes, bank.pictures)
    again = read_bank(tmp_path)
    assert np.array_equal(again.sources[0].frames, bank.sources[0].frames)
    assert np.array_equal(again.tracks[0].mask(3), bank.tracks[0].mask(3))
    trained, held_out = again.part(held_out=False), again.part(held_out=True)
    assert [source.name for source in trained.sources] == ["moving"]
    assert [source.name for source in held_out.sources] == ["still"]
    assert not held_out.tracks
    assert (len(trained.silhouettes), len(held_out.silhouettes)) == (19, 3)


def test_a_picture_is_an_object_with_its_own_colours_which_go_on_beyond_its_edge():
    patch = picture(drawn_object())
    assert patch.shape == (PATCH_PX, PATCH_PX, 4)
    inside = cv2.erode(patch[..., 3], np.ones((5, 5), np.uint8)) > 250
    red, blue = (np.abs(patch[..., :3].astype(int) - colour).max(-1) < 40 for colour in (RED, BLUE))
    assert (red | blue)[inside].mean() > 0.95
    assert red[inside].any() and blue[inside].any()
    assert patch[5, PATCH_PX // 2, 2] > 100, "above the head it is blue, too"


def test_pictures_that_are_variants_or_have_no_alpha_are_left_out(tmp_path):
    for name in ("one.png", "one_1f3fb.png"):
        cv2.imwrite(str(tmp_path / name), drawn_object())
    cv2.imwrite(str(tmp_path / "photo.png"), drawn_object()[..., :3])
    assert len(read_pictures(tmp_path, ["1f3fb"])) == 1


def test_held_out_pictures_are_not_trained_on():
    bank = tiny_bank(held_out=True)
    trained, held_out = (bank.part(held_out=held_out).pictures for held_out in (False, True))
    assert (len(trained), len(held_out)) == (19, 3)
    assert not any(np.array_equal(one, other) for one in trained for other in held_out)
