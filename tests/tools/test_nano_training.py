"""Training changes weights, goes on as if it had never stopped, and its weights load and can be judged."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.conftest import REPOSITORY
from tests.tools.tiny import write_sequence, write_tiny_bank
from tools.nano import evaluate, export, train
from tools.nano.losses import Decoded, frame_loss
from tools.nano.network import load_weights, official_predictor
from tools.nano.prompts import NEGATIVE, POSITIVE, correction
from tools.nano.schedule import CURRICULA, Plan, learning_rate, parse_plan
from tools.nano.train import Settings, Trainer
from tools.nano.unroll import total_loss

BUNDLED = REPOSITORY / "pipeline" / "bundled" / "nano" / "sam2_nano.safetensors"
STEPS = 4


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    return write_tiny_bank(tmp_path_factory.mktemp("bank"))


def trainer(bank: Path, state: Path, **changes) -> Trainer:
    return Trainer(Settings(bank, state, Plan(steps=STEPS), BUNDLED, "tiny", **changes))


@pytest.fixture(scope="module")
def trained(bank, tmp_path_factory) -> Path:
    state = tmp_path_factory.mktemp("trained") / "state.pt"
    trainer(bank, state).run()
    return state


def test_training_changes_all_that_it_uses_and_the_average_with_it(trained):
    content, before = torch.load(trained, weights_only=True), load_weights(BUNDLED)
    unchanged = [name for name, tensor in content["model"].items() if torch.equal(tensor, before[name])]
    assert content["step"] == STEPS
    assert all(torch.isfinite(tensor).all() for tensor in content["average"].values())
    assert len(unchanged) < 0.1 * len(before)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in content["average"].items())


@pytest.mark.parametrize("workers", [0, 1], ids=["alone", "with a worker"])
def test_stopping_and_resuming_gives_the_same_weights_to_the_bit(bank, trained, tmp_path, workers):
    state = tmp_path / "state.pt"
    first = trainer(bank, state, workers=workers)
    first.run(stopped=lambda: first.state.step >= 1)
    assert torch.load(state, weights_only=True)["step"] == 1
    trainer(bank, state, workers=workers).run()

    undisturbed, resumed = (torch.load(path, weights_only=True) for path in (trained, state))
    for name in ("model", "average"):
        assert all(torch.equal(tensor, resumed[name][key]) for key, tensor in undisturbed[name].items())


def test_a_broken_step_changes_no_weight_and_is_counted(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "total_loss", lambda terms: math.nan * total_loss(terms))
    broken = trainer(bank, tmp_path / "state.pt", log_seconds=0.0)
    state, before = broken.run(), load_weights(BUNDLED)
    assert state.step == STEPS
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.network.state_dict().items())
    assert "skipped 1.000" in (tmp_path / "state.log").read_text()


def test_a_signal_stores_the_state(bank, tmp_path):
    state = tmp_path / "state.pt"
    command = [sys.executable, "-m", "tools.nano.train", "--bank", bank, "--state", state]
    command += ["--until", "1h", "--curriculum", "tiny", "--init", BUNDLED, "--device", "cpu"]
    process = subprocess.Popen(
        [str(part) for part in (*command, "--save-minutes", "0")],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not state.exists() and process.poll() is None:
            time.sleep(0.1)
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    assert torch.load(state, weights_only=True)["step"] >= 1
    assert "stored step" in state.with_suffix(".log").read_text()


def test_export_is_fp16_says_what_it_is_and_loads_strictly(trained, tmp_path):
    out = tmp_path / "weights.safetensors"
    export.main(["--state", str(trained), "--out", str(out)])
    with safe_open(out, "pt") as file:
        about = file.metadata()
    assert about["steps"] == str(STEPS)
    assert json.loads(about["sources"])[0]["licence"]
    assert load_weights(out).keys() == load_weights(BUNDLED).keys()
    assert out.stat().st_size <= export.LARGEST_BYTES
    official_predictor(load_weights(out))


def test_a_file_too_large_to_ship_is_not_written(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "LARGEST_BYTES", 1000)
    with pytest.raises(ValueError, match="more than the 1000 that may ship"):
        export.main(["--state", str(trained), "--out", str(tmp_path / "weights.safetensors")])
    assert not list(tmp_path.iterdir())


def test_evaluation_gives_figures_of_truth_and_absence_and_draws(bank, tmp_path):
    truth, out = write_sequence(tmp_path / "truth"), tmp_path / "figures.json"
    command = ["--weights", BUNDLED, "--truth", truth, "--out", out, "--bank", bank, "--clips", 1]
    command += ["--clip-frames", 4, "--clip-px", 64, "--overlays", tmp_path, "--overlay", "moving"]
    evaluate.main([str(part) for part in command])
    figures = json.loads(out.read_text())
    assert 0.8 < figures["truth"]["J_frame0"]["mask"] <= 1
    assert set(figures["truth"]["J"]) == {"mask", "box", "click"}
    assert figures["frames_per_second"] > 0
    assert figures["held_out"]["frames_with_object"] + figures["held_out"]["frames_without_object"] >= 3
    assert (tmp_path / "moving-255.png").stat().st_size > 1000


def test_an_object_out_of_sight_teaches_its_score_alone():
    logits, ious = torch.zeros(2, 4, 16, 16, requires_grad=True), torch.full((2, 4), 0.5, requires_grad=True)
    scores = torch.zeros(2, 1, requires_grad=True)
    masks = torch.zeros(2, 64, 64)
    masks[0, 20:40, 20:40] = 1
    frame_loss(Decoded(logits, ious, scores), masks, one_click=False, balance=0.0).total.backward()
    for tensor in (logits, ious, scores):
        assert tensor.grad is not None
    assert logits.grad[0].any() and not logits.grad[1].any()
    assert ious.grad[0].any() and not ious.grad[1].any()
    assert scores.grad.all()


def test_a_correction_is_where_the_mask_is_wrong():
    true, found, rng = np.zeros((20, 20), bool), np.zeros((20, 20), bool), np.random.default_rng(0)
    true[:, :10] = True
    (x, _), label = correction(found, true, rng)
    assert (x < 10, label) == (True, POSITIVE)
    (x, _), label = correction(np.ones((20, 20), bool), true, rng)
    assert (x >= 10, label) == (True, NEGATIVE)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("20000", Plan(steps=20000)),
        ("90m", Plan(seconds=5400)),
        ("1.5h", Plan(seconds=5400)),
        ("9s", Plan(seconds=9)),
    ],
)
def test_a_plan_is_in_steps_or_in_time(text, plan):
    assert parse_plan(text) == plan


@pytest.mark.parametrize("text", ["", "0", "1.5", "12:30", "-3", "2d"])
def test_other_plans_are_refused(text):
    with pytest.raises(ValueError, match="must be a number of steps"):
        parse_plan(text)


def test_the_rate_rises_and_then_falls():
    rates = [learning_rate(1e-3, step, step / 1000) for step in range(1001)]
    assert rates[0] < 1e-5 < max(rates) < 1e-3
    assert rates[1000] == pytest.approx(2e-5)


@pytest.mark.parametrize("name", CURRICULA)
def test_every_curriculum_ends_with_its_last_stage(name):
    curriculum = CURRICULA[name]
    assert curriculum.stage(0.0) is curriculum.stages[0]
    assert curriculum.stage(1.0) is curriculum.stages[-1]
    assert curriculum.balance(1.0) == 0.1
