"""Objects of several videos go through the network together, and none sees of it."""

import pytest
import torch

from pipeline.engine.config import Precision
from pipeline.engine.lanes import Lane, Reach, look_back, padded_size
from pipeline.engine.packing import can_pack
from pipeline.engine.state import ConditioningFrame, ObjectState, VideoState
from pipeline.engine.tracking import LaneTensors, track
from pipeline.records import Prompt
from tests.engine.scenes import DISC, MASKS, SQUARE, condition, engine_of, logits_of, nano_model, scene

FRAMES = 20
CORRECTED = Prompt(2, 9, box_xyxy=(90, 48, 114, 72))
VIDEOS = {  # prompts, and the tick in which the video joins
    "two objects": ([DISC, SQUARE], 0),
    "one object": ([DISC], 0),
    "joins late": ([DISC], 4),
    "prompted twice": ([SQUARE, CORRECTED], 2),
}


@pytest.fixture(scope="module")
def frames():
    return scene(FRAMES, 256)


def run(engine, frames, videos):
    """Step several videos together; return logits by video, object and frame."""
    states = {name: VideoState(num_frames=16) for name in videos}
    for name, (prompts, _) in videos.items():
        condition(engine, states[name], frames, prompts, MASKS)
    found = {}
    for tick in range(min(joins for _, joins in videos.values()), len(frames)):
        together = [name for name, (_, joins) in videos.items() if tick >= joins]
        features = engine.encode([frames[tick - videos[name][1]] for name in together])
        outputs = engine.step([(states[n], f) for n, f in zip(together, features, strict=True)])
        for name, output in zip(together, outputs, strict=True):
            for object_id, head in zip(output.object_ids, output.heads, strict=True):
                found[name, object_id, output.frame_index] = logits_of(engine, head)
    return found


def alone(engine, frames):
    return {
        key: logits
        for name, (prompts, joins) in VIDEOS.items()
        for key, logits in run(engine, frames, {name: (prompts, joins)}).items()
    }


@pytest.fixture(scope="module")
def apart(frames):
    return alone(engine_of(nano_model()), frames)


@pytest.mark.parametrize("lanes_at_once", [1, 2, 16])
def test_in_fp32_a_lane_computes_the_same_in_any_company(frames, apart, lanes_at_once):
    together = run(engine_of(nano_model(), lanes_at_once=lanes_at_once), frames, VIDEOS)
    assert together.keys() == apart.keys()
    assert max(float((together[key] - apart[key]).abs().max()) for key in apart) < 1e-4


def test_in_bf16_company_changes_masks_no_more_than_rounding_does(frames, apart):
    """Which kernel multiplies depends on the batch, and on CPUs without bf16 each rounds its own way."""
    engine = engine_of(nano_model(), precision=Precision.bf16)
    rounded = alone(engine, frames[:10])
    together = run(engine, frames[:10], VIDEOS)
    assert agreement(together, rounded) >= min(0.999, agreement(rounded, apart) - 0.01)


def agreement(some, others):
    """Return the IoU of all masks together."""
    pairs = [(some[key] > 0, others[key] > 0) for key in some]
    return float(sum((a & b).sum() for a, b in pairs) / sum((a | b).sum() for a, b in pairs))


def bank_of(conditioning, tracked):
    """Return a bank whose memories and pointers say which frame they are of."""
    bank = ObjectState()
    for t in conditioning:
        mark = torch.tensor([float(t)])
        bank.conditioning[t] = ConditioningFrame(mark, mark, mark, mark, mark)
    for t in tracked:
        bank.remember(t, torch.tensor([float(t)]), torch.tensor([float(t)]))
    return bank


def frames_of(tensors):
    return [int(tensor) for tensor in tensors]


def test_at_first_an_object_looks_back_at_its_prompt():
    past = look_back(bank_of([0], []), 1, 16)
    assert frames_of(past.memories) == [0]
    assert past.rows == [6]
    assert frames_of(past.pointers) == [0]
    assert past.ages == [1 / 15]


def test_in_the_long_run_it_looks_back_at_six_frames_and_fifteen_pointers():
    past = look_back(bank_of([0], range(1, 100)), 100, 16)
    assert frames_of(past.memories) == [0, *range(94, 100)]
    assert past.rows == [6, 5, 4, 3, 2, 1, 0]
    assert frames_of(past.pointers) == [0, *range(99, 84, -1)]
    assert past.ages == [age / 15 for age in (100, *range(1, 16))]


def test_a_gap_among_the_last_frames_is_not_filled_by_an_older_one():
    past = look_back(bank_of([0, 8], [t for t in range(1, 10) if t != 8]), 10, 16)
    assert frames_of(past.memories) == [0, 8, 4, 5, 6, 7, 9]
    assert past.rows == [6, 6, 5, 4, 3, 2, 0]


def test_with_fewer_memory_frames_it_looks_back_at_the_last_of_them():
    past = look_back(bank_of([0], range(1, 100)), 100, 16, Reach(memory_frames=2))
    assert frames_of(past.memories) == [0, 98, 99]
    assert past.rows == [6, 1, 0]
    assert len(past.pointers) == 16


def test_a_later_prompt_lends_its_memory_but_not_its_pointer():
    past = look_back(bank_of([0, 30], [1, 2]), 3, 16)
    assert frames_of(past.memories) == [0, 30, 1, 2]
    assert frames_of(past.pointers) == [0, 2, 1]


def test_in_a_short_video_ages_are_counted_in_its_own_length():
    assert look_back(bank_of([0], [1, 2, 3]), 4, 5).ages == [1.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(("lanes", "size"), [(1, 1), (2, 2), (3, 4), (5, 8), (9, 12), (12, 12)])
def test_batches_are_padded_to_a_few_sizes(lanes, size):
    assert padded_size(lanes, 12) == size


def test_what_fills_a_batch_up_changes_no_lane(frames):
    engine, state = engine_of(nano_model()), VideoState(num_frames=16)
    condition(engine, state, frames, [DISC, Prompt(2, 0, box_xyxy=(102, 48, 126, 72))], MASKS)
    (features,) = engine.encode(frames[1:2])
    lanes = [Lane(bank, features, 16) for bank in state.objects.values()]
    pasts = [look_back(lane.bank, 1, 16) for lane in lanes]
    plain, filled = (LaneTensors.of(lanes, pasts, size) for size in (2, 4))
    expected, _ = track(engine.network, *plain.shared, *plain[1:])
    found, _ = track(engine.network, *filled.shared, *filled[1:])
    assert len(found.mask_logits) == 4
    assert torch.equal(found.mask_logits[:2], expected.mask_logits)


@pytest.mark.parametrize("precision", list(Precision))
def test_a_cpu_that_computes_a_precision_in_software_is_told_of(precision, caplog):
    engine = engine_of(nano_model(), precision=precision)
    is_slow = precision is not Precision.fp32 and not can_pack(engine.dtype)
    assert (f"no instructions for precision={precision.value}" in caplog.text) == is_slow
