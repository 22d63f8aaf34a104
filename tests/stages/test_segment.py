"""One shard from video to table: the official masks, and none other after any stop."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.engine.config import Precision
from pipeline.errors import PromptInvalid, RunInUse, Stopped, WeightsError
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.resize import to_model_input
from pipeline.outputs.checkpoints import last_stored_frame
from pipeline.outputs.rle import decode_mask
from pipeline.records import Attempt, Rle, Shard
from pipeline.stages.segment import SegmentStage
from pipeline.storage.local_store import LocalStore
from pipeline.work.fingerprints import digest_of
from tests.clips import SQUARE_BOX
from tests.engine.oracle import official_logits, official_predictor
from tests.engine.scenes import nano_model
from tests.stages.segmenting import CONFIG, DISC, EVERY, FRAMES, SQUARE, Cut, masks_table, segment


def attempts(folder, shard):
    return sorted((folder / "_work" / shard.id).iterdir())


def masks_of(table, object_id):
    rows = table.filter(table["object_id"].to_numpy() == object_id).to_pylist()
    return {r["frame_index"]: decode_mask(Rle(tuple(r["rle"]["size"]), r["rle"]["counts"])) for r in rows}


@pytest.mark.parametrize("prompt", [DISC, SQUARE])
def test_from_file_to_table_the_masks_are_the_official_ones(video, undisturbed, prompt):
    model = nano_model()
    frames = [to_model_input(f, model.image_size) for f in open_frames(video, FramesConfig())]
    logits = official_logits(official_predictor(model, "nano"), frames, [prompt], {})

    ours = masks_of(undisturbed, prompt.object_id)
    assert ours.keys() == logits.keys()
    pairs = [(ours[t], (logits[t] > 0).numpy()) for t in ours]
    assert sum((a & b).sum() for a, b in pairs) >= 0.999 * sum((a | b).sum() for a, b in pairs)
    assert any(mask.any() for mask in ours.values())


def test_every_object_has_one_row_a_frame_from_its_first_prompt_on(undisturbed):
    keys = list(
        zip(undisturbed["frame_index"].to_pylist(), undisturbed["object_id"].to_pylist(), strict=True)
    )
    assert keys == sorted({(t, 1) for t in range(FRAMES)} | {(t, 5) for t in range(4, FRAMES)})


def test_times_and_labels_and_prompts_are_in_the_table(undisturbed):
    rows = {(r["object_id"], r["frame_index"]): r for r in undisturbed.to_pylist()}
    assert rows[1, 25]["time_seconds"] == pytest.approx(1.0)
    assert rows[1, 0]["label"] == "disc"
    assert rows[5, 4]["label"] is None
    assert [key for key, row in rows.items() if row["prompted"]] == [(1, 0), (5, 4)]


def test_the_file_says_what_it_was_made_with(undisturbed, shard):
    metadata = {k.decode(): v.decode() for k, v in undisturbed.schema.metadata.items()}
    assert metadata["model"] == "nano"
    assert metadata["precision"] == "fp32"
    assert metadata["shard"] == shard.id
    assert len(metadata["weights_sha256"]) == 64


@pytest.mark.parametrize("stop_at", [1, 3, 10, 11, 25, 37])
def test_stopping_and_resuming_changes_no_mask(shard, undisturbed, tmp_path, stop_at):
    def cut(frames):
        if frames == stop_at:
            raise Cut

    with pytest.raises(Cut):
        segment(shard, tmp_path, cut)
    stored = last_stored_frame(LocalStore(tmp_path), f"_work/{shard.id}", digest_of(shard.fingerprint))
    report, table = segment(shard, tmp_path)

    assert table.equals(undisturbed, check_metadata=True)
    assert stored == (stop_at // EVERY * EVERY - 1 if stop_at >= EVERY else None)
    assert stop_at + report.frames_computed - FRAMES <= EVERY  # computed twice
    assert report.frames == FRAMES


def test_a_third_attempt_goes_on_from_the_furthest_of_two(shard, undisturbed, tmp_path):
    def cut_at(count):
        def cut(frames):
            if frames == count:
                raise Cut

        return cut

    for count in (25, 33):
        with pytest.raises(Cut):
            segment(shard, tmp_path, cut_at(count))
    report, table = segment(shard, tmp_path)
    assert report.frames_computed == FRAMES - 30
    assert table.equals(undisturbed)


@pytest.mark.parametrize("kind", ["state", "span", "checkpoint"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(shard, undisturbed, tmp_path, kind):
    def cut(frames):
        if frames == 35:
            raise Cut

    with pytest.raises(Cut):
        segment(shard, tmp_path, cut)
    newest = max(attempts(tmp_path, shard)[0].glob(f"{kind}-*"))
    newest.write_bytes(newest.read_bytes()[:-9] + b"corrupted")
    report, table = segment(shard, tmp_path)
    assert report.frames_computed == FRAMES - 20
    assert table.equals(undisturbed)


def test_a_checkpoint_of_other_prompts_is_not_taken(shard, tmp_path):
    def cut(frames):
        if frames == 30:
            raise Cut

    with pytest.raises(Cut):
        segment(shard, tmp_path, cut)
    other = replace(shard, prompts=(replace(DISC, object_id=2),), fingerprint={"prompts": "y"})
    report, table = segment(other, tmp_path)
    assert report.frames_computed == FRAMES
    assert set(table["object_id"].to_pylist()) == {2}


def test_a_state_stays_small_and_only_two_are_kept(shard, tmp_path):
    seen = []

    def look(frames):
        if frames == 36:
            seen.extend(attempts(tmp_path, shard)[0].glob("state-*"))

    segment(shard, tmp_path, look)
    assert sorted(path.name for path in seen) == [
        "state-000000020.safetensors",
        "state-000000030.safetensors",
    ]


@pytest.mark.parametrize("prompts", [(DISC,), (SQUARE,)], ids=["first object", "late object"])
def test_a_group_of_objects_gets_the_masks_of_the_whole(shard, undisturbed, tmp_path, prompts):
    alone = replace(shard, prompts=prompts)
    _, table = segment(alone, tmp_path)
    whole, part = masks_of(undisturbed, prompts[0].object_id), masks_of(table, prompts[0].object_id)
    assert whole.keys() == part.keys()
    assert all(np.array_equal(whole[t], part[t]) for t in whole)


def test_a_prompt_by_time_is_one_by_frame(shard, undisturbed, tmp_path):
    by_time = replace(SQUARE, frame_index=None, time_seconds=4.4 / 25)
    _, table = segment(replace(shard, prompts=(DISC, by_time)), tmp_path)
    assert table.equals(undisturbed)


def test_a_machine_with_other_weights_than_planned_refuses(shard, tmp_path):
    planned = replace(shard, fingerprint={"prompts": "x", "weights": "of another file"})
    with pytest.raises(WeightsError, match="planned with of another file"):
        segment(planned, tmp_path)


def test_a_prompt_past_the_end_is_the_prompts_fault(shard, tmp_path):
    late = replace(SQUARE, frame_index=FRAMES)
    with pytest.raises(PromptInvalid, match="prompt on frame 37"):
        segment(replace(shard, prompts=(DISC, late)), tmp_path)


@pytest.mark.parametrize("precision", [Precision.bf16, Precision.fp16])
def test_low_precision_gives_nearly_the_same_masks(shard, undisturbed, tmp_path, precision):
    config = replace(CONFIG, engine=replace(CONFIG.engine, precision=precision))
    _, table = segment(shard, tmp_path, config=config)
    exact, rounded = masks_of(undisturbed, 1), masks_of(table, 1)
    union = sum((exact[t] | rounded[t]).sum() for t in exact)
    common = sum((exact[t] & rounded[t]).sum() for t in exact)
    assert common / union > 0.95


def test_masks_come_back_at_the_videos_own_size_under_a_width_cap(shard, tmp_path):
    config = replace(CONFIG, frames=FramesConfig(max_width_px=80))
    _, table = segment(shard, tmp_path, config=config)
    assert {tuple(rle["size"]) for rle in table["rle"].to_pylist()} == {(96, 160)}


def test_threads_and_order_of_shards_leave_the_model_as_it_was(shard, undisturbed, tmp_path):
    """State is reset between videos: the same worker gives the same masks again."""
    stage = SegmentStage(CONFIG, str(tmp_path))
    other = Shard("other", "other", shard.video_uri, (replace(DISC, box_xyxy=tuple(SQUARE_BOX)),), FRAMES)
    stage(other, Attempt("1"), lambda _: None)
    stage(shard, Attempt("1"), lambda _: None)
    assert masks_table(tmp_path, shard).equals(undisturbed)
    assert torch.is_inference_mode_enabled() is False


def test_asked_to_stop_it_stores_what_it_has(shard, undisturbed, tmp_path):
    def stop(frames):
        if frames == 17:
            raise Stopped

    with pytest.raises(Stopped):
        segment(shard, tmp_path, stop)
    report, table = segment(shard, tmp_path)
    assert report.frames_computed == FRAMES - 17
    assert table.equals(undisturbed)


def test_an_attempt_of_a_driver_that_was_taken_over_from_commits_nothing(shard, tmp_path):
    stage = SegmentStage(CONFIG, str(tmp_path))
    stage.run.store.write("_run/epoch-000002.json", b"{}")
    with pytest.raises(RunInUse, match="taken this run over"):
        stage(shard, Attempt("000001.001", epoch=1), lambda _: None)
    assert not list(tmp_path.glob("_commit/*"))
    stage(shard, Attempt("000002.001", epoch=2), lambda _: None)
    assert list(tmp_path.glob("_commit/*"))
