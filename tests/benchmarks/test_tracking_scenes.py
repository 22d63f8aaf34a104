"""Made videos: the same by seed, and their truth is what is to be seen."""

from itertools import islice, pairwise

import numpy as np
import pytest

from benchmarks.tracking_paint import SIZE_HW, Place, backdrop, bar, blob, paint
from benchmarks.tracking_scenes import SCENES, cuts, drift, leaving, second_camera
from benchmarks.tracking_truth import read_video, write_video
from pipeline.stages.evaluate import jaccard

SEED = 7


@pytest.mark.parametrize("name", SCENES)
def test_a_seed_decides_every_pixel(name):
    first, again = (next(SCENES[name](SEED)) for _ in range(2))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, next(SCENES[name](SEED + 1)).image)


def test_truth_is_what_is_to_be_seen():
    wall = np.full((350, 560, 3), 100, np.float32)
    ball = blob(1, 20, (250, 0, 0))
    alone = paint(wall, (0, 0), [(1, ball, Place(100, 100))])
    is_red = alone.image[..., 0] > alone.image[..., 1].astype(int) + 40
    assert jaccard(is_red, alone.labels == 1) > 0.9

    behind = paint(wall, (0, 0), [(1, ball, Place(100, 100)), (0, bar(1, 40), Place(90, 135))])
    assert not behind.labels[:, 71:109].any()  # a post hides what is behind it
    assert (behind.labels == 1).any()


def test_an_object_returns_after_it_was_out_of_sight():
    seen = [1 in frame.labels for frame in leaving(SEED)]
    assert seen[0] and seen[-1] and not all(seen)


def test_cuts_change_the_picture_at_once():
    images = [frame.image.astype(int) for frame in cuts(SEED)]
    changes = [abs(after - before).mean() for before, after in pairwise(images)]
    assert sorted(np.argsort(changes)[-2:] + 1) == [60, 110]


def test_the_second_camera_sees_the_same_objects_elsewhere():
    first, second = next(SCENES["camera-1"](SEED)).labels, next(second_camera(SEED)).labels
    assert set(np.unique(first)) == set(np.unique(second)) == {0, 1, 2}
    for object_id in (1, 2):
        assert abs(_middle(first == object_id) - _middle(second == object_id)).max() > 40


def test_the_long_loop_closes():
    labels = [frame.labels for frame in drift(SEED)]
    jumps = [abs(_middle(b == 1) - _middle(a == 1)).max() for a, b in pairwise(labels)]
    assert abs(_middle(labels[0] == 1) - _middle(labels[-1] == 1)).max() <= max(jumps)


def test_a_backdrop_has_room_to_sway():
    assert backdrop("bottles.mp4", 0, 0.0).shape[:2] > SIZE_HW


def test_a_video_is_read_as_it_was_written(tmp_path):
    frames = list(islice(leaving(SEED), 0, 90, 30))
    write_video(tmp_path / "leaving", frames)
    video = read_video(tmp_path / "leaving")
    assert video.object_ids == (1, 2) and video.size_hw == SIZE_HW
    for t, frame in enumerate(frames):
        for object_id in (1, 2):
            assert np.array_equal(video.of(object_id, t), frame.labels == object_id)


def _middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)
