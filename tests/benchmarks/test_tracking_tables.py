"""The table and the pictures of what helps tracking."""

from importlib.util import find_spec
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from benchmarks.tracking_pictures import FRAMES, WIDTH_PX, save_strip
from benchmarks.tracking_scenes import leaving
from benchmarks.tracking_truth import read_video, write_video


def figure(setting: str, video: str, group: str, j: float) -> dict:
    counted = {"switches": 1, "returns": 2, "recovered": 1, "unseen": 0, "invented": 0, "prompted": 1}
    return {
        "setting": setting,
        "video": video,
        "group": group,
        "j": j,
        "j_seen": j,
        "idf1": j,
        "hota": j,
    } | counted


@pytest.mark.skipif(find_spec("trackers") is None, reason="the package `trackers` is not installed")
def test_a_setting_that_is_not_for_all_videos_has_no_figures_over_all():
    from benchmarks.tracking_tables import overview

    figures = [
        figure("all", "a", "made", 0.5),
        figure("all", "b", "made", 0.7),
        figure("all", "c", "real", 0.1),
        figure("some", "c", "real", 0.2),
    ]
    assert overview(figures) == [
        {
            "setting": "all",
            "made": "0.600",
            "real": "0.100",
            "IDF1": "0.433",
            "HOTA": "0.433",
            "switches": "3",
            "recovered": "3 of 6",
        },
        {
            "setting": "some",
            "made": "",
            "real": "0.200",
            "IDF1": "",
            "HOTA": "",
            "switches": "",
            "recovered": "",
        },
    ]


def test_a_strip_shows_each_setting_in_a_row_and_its_masks_in_colour(tmp_path):
    write_video(tmp_path / "leaving", islice(leaving(7), FRAMES))
    video = read_video(tmp_path / "leaving")
    save_strip(tmp_path / "strip.png", video, {"nothing": {}, "the truth": dict(video.masks)})
    picture = np.array(Image.open(tmp_path / "strip.png").convert("RGB"))
    assert picture.shape[1] == FRAMES * WIDTH_PX
    nothing, truth = np.split(picture, 2)
    assert np.count_nonzero((nothing != truth).any(axis=2)) > 1000
