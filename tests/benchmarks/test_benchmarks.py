"""Each benchmark runs on a tiny input and writes what it says."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.looped import write_looped
from pipeline.inputs.video import decode_video
from tests.clips import SIZE_HW, moving_shapes
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
CLIP = REPOSITORY / "pipeline" / "bundled" / "clips" / "bottles.mp4"


def run_benchmark(name: str, out: Path, *arguments: object) -> dict:
    """Run a benchmark as users do; return its JSON."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--out", out, *arguments]
    subprocess.run([str(part) for part in command], cwd=REPOSITORY, check=True, capture_output=True)
    return json.loads((out / f"{name}.json").read_text())


@pytest.fixture
def truth(tmp_path) -> Path:
    """True masks of the disc on five frames."""
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    for folder in ("frames", "masks"):
        (tmp_path / "truth" / "disc" / folder).mkdir(parents=True)
    for t, image in enumerate(moving_shapes(5)):
        mask = (rows - 39) ** 2 + (columns - 31 - t) ** 2 < 13**2
        Image.fromarray(image).save(tmp_path / "truth" / "disc" / "frames" / f"image_{t}.jpg")
        Image.fromarray(mask.astype(np.uint8) * 255).save(
            tmp_path / "truth" / "disc" / "masks" / f"image_{t}.png"
        )
    return tmp_path / "truth"


def test_parity_says_where_its_figures_come_from(tmp_path):
    result = run_benchmark("parity", tmp_path, "--models", "sam2.1/sam2.1_hiera_t.yaml")
    assert all(figure["iou"] > 0.999 for figure in result["figures"])
    assert result.keys() == {"command", "date", "machine", "versions", "figures"}
    assert "| sam2.1_hiera_t |" in (tmp_path / "parity.md").read_text()


def test_memory_samples_both_processes_to_the_last_frame(tmp_path):
    result = run_benchmark("memory", tmp_path, "--frames", 12, "--every", 4, "--settled", 8)
    samples = {name: process["samples"] for name, process in result["figures"]["processes"].items()}
    assert {name: taken[-1][0] for name, taken in samples.items()} == {
        "this project": 12,
        "official predictor": 12,
    }
    assert Image.open(tmp_path / "memory.png").size[0] > 500
    assert "| official predictor |" in (tmp_path / "memory.md").read_text()


def test_truth_finds_both_equal_where_holes_are_not_filled(tmp_path, truth):
    result = run_benchmark("truth", tmp_path, truth, "--prompts", "click")
    assert [figure["prompt"] for figure in result["figures"]] == ["click"]
    assert all(figure["unfilled"] == figure["official"] > 0.5 for figure in result["figures"])
    assert "| all | 1 | click |" in (tmp_path / "truth.md").read_text()


def test_tiers_compare_settings_with_the_first(tmp_path, truth):
    names = ["exact: fp32", "bf16, 2 memory frames"]
    result = run_benchmark("tiers", tmp_path, truth, "--rounds", "1", "--tiers", *names)
    assert [figure["tier"] for figure in result["figures"]] == names
    assert all(figure["j"] > 0.5 for figure in result["figures"])
    assert "| bf16, 2 memory frames |" in (tmp_path / "tiers.md").read_text()


@pytest.mark.skipif(find_spec("trackers") is None, reason="the package `trackers` is not installed")
def test_tracking_compares_settings_on_videos_with_truth(tmp_path, truth):
    names = ["first mask", "boxes every 50 frames"]
    result = run_benchmark("tracking", tmp_path, truth, "--scenes", "--settings", *names)
    scores = result["figures"]["scores"]
    assert [score["setting"] for score in scores] == names
    assert all(score["j"] > 0.5 and score["idf1"] == 1 for score in scores)
    assert "| first mask |" in (tmp_path / "tracking.md").read_text()


def test_a_long_video_is_watched_to_its_end(tmp_path):
    pace = ("--key-frames-every", 20, "--every", 2, "--settled", 10)
    figures = run_benchmark("long_video", tmp_path, "--frames", 60, *pace)["figures"]
    assert figures["samples"]["is_finished"] and figures["samples"]["frames"][-1] == 60
    assert figures["slopes"].keys() == {"rss_mib", "wall_ms", "cpu_ms", "j"}
    assert all(low < slope < high for slope, low, high in figures["slopes"].values())
    assert Image.open(tmp_path / "long_video.png").size[0] > 500


def test_kernels_of_attention_compute_the_same(tmp_path):
    result = run_benchmark("kernels", tmp_path, "--image-size", "64", "--lanes", "2", "--repeats", "1")
    differences = {figure["kernel"]: figure["difference"] for figure in result["figures"]}
    assert differences.pop("sdpa, flash_attention") == ""  # refuses values that are narrower than keys
    assert len(differences) == 2
    assert all(float(difference) < 0.05 for difference in differences.values())


def test_the_anatomy_of_a_frame_is_all_its_parts(tmp_path):
    settings = ("--model", "nano", "--image-size", "256", "--objects", "1", "--frames", "2")
    result = run_benchmark("anatomy", tmp_path, *settings)
    for figure in result["figures"]:
        parts = dict(figure["ms"])
        whole = parts.pop("all")
        assert min(parts.values()) > 0
        assert sum(parts.values()) == pytest.approx(whole, rel=0.5)  # each is a median of its own


def test_a_looped_video_has_the_frames_asked_for_and_starts_again(tmp_path):
    clip_frames = [frame.image for frame in decode_video(CLIP)]
    looped = list(decode_video(write_looped(CLIP, len(clip_frames) + 3, tmp_path / "looped.mp4")))
    assert len(looped) == len(clip_frames) + 3
    assert np.array_equal(looped[len(clip_frames)].image, clip_frames[0])
