"""Short of GPU memory: a smaller model for those who ask for it, and the state stored ahead of its time."""

import itertools
import json
from dataclasses import replace

import pytest
import torch

from pipeline.outputs.checkpoints import CheckpointConfig
from pipeline.records import Attempt
from pipeline.stages.segment import SegmentStage
from tests.stages.segmenting import CONFIG, FRAMES, Cut, masks_table, segment


def test_a_shard_without_memory_for_the_model_goes_to_the_smaller_one_if_that_was_asked_for(
    shard, tmp_path, monkeypatch
):
    """Here the smaller model is the same one under another name: what counts is who takes over, and when."""
    stand_in = replace(CONFIG.model, name="smaller")
    stage = SegmentStage(replace(CONFIG, smaller_model=stand_in), str(tmp_path))

    def full(items):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(stage.engine.engine, "track", full)
    with pytest.raises(torch.OutOfMemoryError):
        stage(shard, Attempt("1", 1), lambda _: None)
    with pytest.raises(torch.OutOfMemoryError):  # after a crash, say: it has not had the device for itself
        stage(shard, Attempt("2", 2), lambda _: None)
    stage(shard, Attempt("3", 3, memory_was_full=True), lambda _: None)

    metadata = masks_table(tmp_path, shard).schema.metadata
    assert metadata[b"model"] == b"smaller"
    marker = json.loads((tmp_path / "_commit" / "shapes.json").read_text())
    assert marker["flags"] == ["smaller_model:smaller"]


def test_without_a_smaller_model_the_shard_fails(shard, tmp_path, monkeypatch):
    stage = SegmentStage(CONFIG, str(tmp_path))

    def full(items):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(stage.engine.engine, "track", full)
    with pytest.raises(torch.OutOfMemoryError):
        stage(shard, Attempt("2", 2), lambda _: None)


def test_when_a_gpu_fills_up_the_state_is_stored_ahead_of_its_time(shard, undisturbed, tmp_path, monkeypatch):
    config = replace(CONFIG, checkpoint=CheckpointConfig(every_frames=1000))
    stage, frames = SegmentStage(config, str(tmp_path)), itertools.count(1)
    monkeypatch.setattr(stage.engine.engine, "memory_share", lambda: 0.9 if next(frames) >= 7 else 0.1)

    def cut(frames):
        if frames == 9:
            raise Cut

    with pytest.raises(Cut):
        stage(shard, Attempt("1"), cut)
    report, table = segment(shard, tmp_path)
    assert report.frames_computed == FRAMES - 7
    assert table.equals(undisturbed)


def test_the_checkpoints_of_a_smaller_model_are_not_dropped_for_those_of_the_larger_one(
    shard, tmp_path, monkeypatch
):
    """The larger one came to frame 30 and left its checkpoints there."""
    stage = SegmentStage(replace(CONFIG, smaller_model=replace(CONFIG.model, name="smaller")), str(tmp_path))
    track, attempt = stage.engine.engine.track, Attempt("1", 1, memory_was_full=True)

    def fills_up(lanes):
        if lanes[0].features.frame_index >= 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return track(lanes)

    seen = []

    def cut(frames):
        seen.append(frames)
        if frames == 25 and 32 in seen:  # the second time
            raise Cut

    monkeypatch.setattr(stage.engine.engine, "track", fills_up)
    with pytest.raises(Cut):
        stage(shard, attempt, cut)
    report = stage(shard, Attempt("2", 2, memory_was_full=True), lambda _: None)
    assert report.frames_computed == FRAMES - 20
