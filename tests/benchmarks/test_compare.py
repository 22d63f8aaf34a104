"""The comparison gives all systems the same, and has a row for whatever becomes of them."""

import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import add_masks, agreement
from benchmarks.compare_child import measure_in_child, problem_of
from benchmarks.compare_table import rows_of, text_of
from benchmarks.figures import Figure, Peak, as_json
from benchmarks.measure import Measured
from benchmarks.models import model_of, trained_weights
from benchmarks.scenarios import Scenario, scenarios
from benchmarks.settings import Precision, System, add_setting, setting_of, variants
from benchmarks.workload import BOXES_XYXY, box_prompts
from tests.benchmarks.settings import NANO
from tests.benchmarks.test_benchmarks import run_benchmark
from tests.conftest import REPOSITORY

PEAK = Peak(tflops=790, terabytes_per_second=4.3)
MEASURED = Measured(20.0, 40, 2.0, 1.5, 512 << 20, 1, "some device")
# Packages that a machine with a GPU and torch may well not have, and rooms of the house that need a cluster.
ABSENT = ("ray", "supervision", "rich", "matplotlib", "psutil", "jobs", "pipeline.runners")


def test_a_setting_arrives_in_the_child_as_it_was_sent():
    parser = ArgumentParser()
    add_setting(parser)
    assert setting_of(parser.parse_args(NANO.to_arguments())) == NANO


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"warmup": 4}, "multiple of 8", id="a batch would be timed in part"),
        pytest.param({"frames": 8}, "less than the 8 frames", id="no frame would be timed"),
        pytest.param({"objects": 0}, "1 or more", id="nothing to segment"),
    ],
)
def test_a_setting_without_sense_cannot_exist(change, message):
    with pytest.raises(ValueError, match=message):
        replace(NANO, **change)


def test_the_reference_comes_first_and_only_cuda_compiles():
    everything = (list(System), list(Precision))
    on_cpu, on_cuda = variants(*everything, "cpu"), variants(*everything, "cuda")
    assert on_cpu[0] == on_cuda[0] == (System.official, Precision.fp32)
    assert set(on_cuda) - set(on_cpu) == {(System.official_compiled, Precision.bf16)}


def test_scenarios_are_what_is_asked_for_or_what_the_device_can_bear():
    assert {scenario.model for scenario in scenarios("cpu")} == {"nano", "sam2.1_tiny"}
    assert len(scenarios("cuda")) == 4 * 3 * 2  # sizes, objects, videos
    assert scenarios("cpu", objects=[2], videos=[1], frames=9) == [Scenario("nano", None, 2, 1, 9)]


def test_boxes_are_the_clips_own_or_near_them_and_always_the_same():
    prompts = box_prompts((360, 640), objects=16, video=0)
    assert [prompt.box_xyxy for prompt in prompts[:2]] == list(BOXES_XYXY)
    assert len({prompt.box_xyxy for prompt in prompts}) == 16
    assert prompts == box_prompts((360, 640), objects=16, video=0) != box_prompts((360, 640), 16, video=1)
    for x0, y0, x1, y1 in (prompt.box_xyxy for prompt in prompts if prompt.box_xyxy):
        assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 360


def test_official_checkpoints_are_found_by_their_own_names(tmp_path):
    tiny = model_of("sam2.1_tiny")
    assert trained_weights(tiny, tmp_path) is None
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    assert trained_weights(tiny, tmp_path) == tmp_path / "sam2.1_hiera_tiny.pt"


def packed(*masks: str) -> dict[str, np.ndarray]:
    """Return one frame, an object a string of # and dots."""
    found = {}
    add_masks(found, 0, 3, np.array([[[pixel == "#" for pixel in mask]] for mask in masks]))
    return found


def test_agreement_is_iou_over_objects_and_empty_masks_agree():
    assert agreement(packed("##..", "....", "####"), packed("#...", "....", "####")) == (2.5 / 3, 0.5)
    assert agreement(packed("##.."), packed("..##")) == (0, 0)


def test_masks_of_other_objects_do_not_compare():
    with pytest.raises(ValueError, match="do not match"):
        agreement(packed("#"), packed("#", "#"))


def figure(system: System, frames_per_second: float, **more) -> Figure:
    setting = replace(NANO, system=system, objects=5)
    return Figure(setting, MEASURED._replace(frames_per_second=frames_per_second), **more)


def test_every_row_stands_beside_the_best_peer():
    figures = [figure(System.official, 10), figure(System.transformers, 20), figure(System.ours, 50)]
    assert [row["x best peer"] for row in rows_of(figures, PEAK)] == ["0.50", "1.00", "2.50"]
    assert [row["object_frames_per_second"] for row in as_json(figures, PEAK)] == [50, 100, 250]


def test_a_row_that_failed_says_why_and_columns_without_content_are_left_out():
    figures = [figure(System.ours, 50), Figure(NANO, problem="no module | named x")]
    ours, failed = rows_of(figures, PEAK)
    assert ours["problem"] == "-"
    assert not {"x best peer", "of floor", "IoU, mean"} & ours.keys()
    assert (failed["frames/s"], failed["problem"]) == ("-", "no module / named x")
    assert as_json(figures, PEAK)[1]["frames_per_second"] is None


def test_the_floor_is_that_of_the_official_size_on_a_gpu():
    on_gpu = replace(NANO, model="sam2.1_tiny", image_size=1024, device="cuda")
    share = Figure(on_gpu, MEASURED._replace(frames_per_second=500)).floor_share(PEAK, rewritten=False)
    assert share == pytest.approx(500 * 1.23e-3, rel=0.01)
    for other in (replace(on_gpu, device="cpu"), replace(on_gpu, image_size=512), NANO):
        assert Figure(other, MEASURED).floor_share(PEAK, rewritten=False) is None


def test_the_text_warns_of_random_weights():
    random = replace(NANO, model="sam2.1_tiny", weights=Path("sam2.1_tiny_random-weights.safetensors"))
    assert "sam2.1_tiny are random" in text_of([Figure(NANO, MEASURED), Figure(random, MEASURED)])
    assert "random" not in text_of([Figure(NANO, MEASURED)])


@pytest.mark.parametrize(
    ("returncode", "stderr", "problem"),
    [
        (-9, "", "ended by SIGKILL, as when memory runs out"),
        (
            1,
            "Traceback ...\n  File ...\nModuleNotFoundError: No module named 'x'\n",
            "ModuleNotFoundError: No module named 'x'",
        ),
        (3, "", "exit code 3"),
    ],
)
def test_a_problem_is_one_line(returncode, stderr, problem):
    assert problem_of(returncode, stderr) == problem


def test_a_child_that_fails_or_hangs_is_a_row(tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"no weights")
    failed = measure_in_child(replace(NANO, weights=damaged), tmp_path / "masks.npz", timeout_seconds=120)
    assert failed.measured is None and failed.problem is not None
    assert failed.problem.startswith("pipeline.errors.WeightsError: damaged.safetensors")
    hanging = measure_in_child(NANO, tmp_path / "masks.npz", timeout_seconds=0.01)
    assert hanging == Figure(NANO, problem="took longer than 0 s")


def test_ours_and_the_official_predictor_find_the_same(tmp_path):
    narrow = ["--models", "nano", "--objects", 1, "--videos", 1, "--frames", 10, "--warmup", 8]
    result = run_benchmark(
        "compare", tmp_path, *narrow, "--systems", "ours", "official", "--precisions", "fp32"
    )
    official, ours = result["figures"]
    assert (official["system"], ours["system"]) == ("official", "ours")
    assert (official["iou_minimum"], ours["iou_minimum"]) == (1, pytest.approx(1, abs=0.01))
    assert all(row["frames_per_second"] > 0 and row["timed_frames"] == 2 for row in result["figures"])
    assert all(row["peak_bytes"] > 100 << 20 and row["start_up_seconds"] > 0 for row in result["figures"])
    assert "| ours, fp32 |" in (tmp_path / "compare.md").read_text()
    assert (tmp_path / "compare.png").stat().st_size > 1000


@pytest.mark.parametrize("system", [System.ours, System.ours_file, System.official])
def test_a_measured_process_needs_no_cluster_and_no_extras(system):
    arguments = ["compare_one", *replace(NANO, system=system).to_arguments(), "--json"]
    code = f"""
import runpy, sys
for name in {ABSENT}:
    sys.modules[name] = None  # importing it fails
sys.argv = {arguments}
runpy.run_module("benchmarks.compare_one", run_name="__main__")
assert not [name for name in {ABSENT} if sys.modules[name] is not None]
import benchmarks.report
benchmarks.report.show("A table", [{{"one": "1", "two": "2"}}])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("A table\none  two\n1    2\n")
