"""Other memory policies: bounded, each object by itself, exact to resume; SAM 2's own is left as it is."""

import numpy as np
import pytest
import torch

from pipeline.engine import distractors, motion
from pipeline.engine.candidates import Candidates, Glance, glances
from pipeline.engine.config import MemoryPolicy, TrackingConfig
from pipeline.engine.kalman import corrected, predicted, started
from pipeline.engine.lanes import Lane, Reach, look_back
from pipeline.engine.state import ConditioningFrame, ObjectState, Verdict, VideoState
from pipeline.engine.tracking import LaneTensors
from pipeline.records import Direction, Prompt, Rle
from tests.engine.scenes import (
    DISC,
    MASKS,
    SIZE_HW,
    SQUARE,
    condition,
    disc,
    engine_of,
    propagate,
    scene,
    track,
)

FRAMES = 26
STOPS = (7, 19)
CORRECTION = Prompt(1, 21, points_xy=((72, 30),), point_labels=(1,), is_correction=True)
PROMPTS = [DISC, SQUARE, CORRECTION]
OTHERS = [policy for policy in MemoryPolicy if policy is not MemoryPolicy.sam2]


@pytest.fixture(scope="module")
def frames(model):
    return scene(FRAMES, model.image_size)


@pytest.fixture(scope="module")
def stored():
    """What was stored, by policy and frame."""
    return {}


@pytest.fixture(scope="module")
def runs(model, frames, stored):
    """Masks by policy and frame."""
    return {
        policy: followed(engine_for(model, policy), frames, PROMPTS, policy, stored)
        for policy in MemoryPolicy
    }


def followed(engine, frames, prompts, policy=None, stored=None):
    state, masks = VideoState(num_frames=16), []
    condition(engine, state, frames, prompts, MASKS)
    for frame in frames:
        if stored is not None and frame.index in STOPS:
            named = sorted(state.to_tensors().items())  # as files may give them back
            stored[policy, frame.index] = {name: tensor.clone() for name, tensor in named}
        masks.append(engine.masks(track(engine, state, frame, prompts, MASKS)))
    return masks


def rles(masks, object_id):
    return [dict(zip(m.object_ids, m.rles, strict=True)).get(object_id) for m in masks]


def engine_for(model, policy):
    return engine_of(model, TrackingConfig(memory=policy))


def as_sam2_does(bank, frame_index, glance):
    keep = [t for t in [*bank.memories, frame_index] if frame_index - t < 6]
    return Verdict(glance.best, frozenset(keep), frozenset(), {})


def test_a_policy_that_says_what_sam2_does_changes_no_mask(model, frames):
    engine = engine_of(model)
    expected, _ = propagate(engine, frames, [DISC, SQUARE], MASKS)
    engine.judge = as_sam2_does
    found, _ = propagate(engine, frames, [DISC, SQUARE], MASKS)
    assert [r.rles for r in found] == [r.rles for r in expected]


@pytest.mark.parametrize("policy", OTHERS)
def test_a_policy_changes_what_is_found(runs, policy):
    assert rles(runs[policy], 1) != rles(runs[MemoryPolicy.sam2], 1)


@pytest.mark.parametrize("policy", OTHERS)
@pytest.mark.parametrize("object_id", [1, 2])
def test_alone_or_among_others_an_object_gets_the_same_masks(model, frames, runs, policy, object_id):
    own = [p for p in PROMPTS if p.object_id == object_id]
    alone = followed(engine_for(model, policy), frames, own)
    assert rles(alone, object_id) == rles(runs[policy], object_id)


@pytest.mark.parametrize("policy", OTHERS)
@pytest.mark.parametrize("stopped", STOPS)
def test_storing_and_loading_the_state_changes_no_mask(model, frames, runs, stored, policy, stopped):
    engine = engine_for(model, policy)
    state = VideoState.from_tensors(stored[policy, stopped], torch.device("cpu"))
    masks = [engine.masks(track(engine, state, frame, PROMPTS, MASKS)).rles for frame in frames[stopped:]]
    assert masks == [r.rles for r in runs[policy][stopped:]]


@pytest.mark.parametrize("policy", OTHERS)
def test_backwards_an_object_is_found_too(model, frames, policy):
    last = Prompt(1, 20, mask=Rle(SIZE_HW, b"20"))
    engine = engine_for(model, policy)
    results, _ = propagate(engine, frames, [last], {last: disc(20)}, Direction.BACKWARD)
    assert [r.frame_index for r in results] == list(range(20, -1, -1))


@torch.inference_mode()
def test_the_candidate_that_sam2_takes_is_its_mask_to_the_bit(model, frames):
    engine, state = engine_of(model), VideoState(num_frames=16)
    condition(engine, state, frames, [DISC, Prompt(2, 0, box_xyxy=(102, 48, 126, 72))], MASKS)
    (features,) = engine.encode(frames[1:2])
    lanes = [Lane(bank, features, 16) for bank in state.objects.values()]
    tensors = LaneTensors.of(lanes, [look_back(lane.bank, 1, 16) for lane in lanes], 2)
    recalled = engine.network.recall(tensors.shared, engine.network.look_back(*tensors[1:]))
    candidates = engine.network.candidates(tensors.shared, recalled)
    chosen = candidates.chosen([glance.best for glance in glances(candidates)])
    expected = engine.network.decode(tensors.shared, recalled)
    assert all(torch.equal(ours, official) for ours, official in zip(chosen, expected, strict=True))


def test_a_glance_has_area_and_box_of_each_candidate():
    logits = torch.full((1, 3, 8, 10), -1.0)
    logits[0, 0, 2:5, 4:9] = 1
    logits[0, 2] = 1
    (glance,) = glances(Candidates(logits, torch.zeros(1, 3, 4), torch.ones(1, 1), torch.ones(1, 3)))
    assert glance.areas_px.tolist() == [15, 0, 80]
    assert glance.boxes_xyxy.tolist() == [[4, 2, 9, 5], [0, 0, 0, 0], [0, 0, 10, 8]]


def test_a_filter_foresees_steady_motion():
    box, speed = np.array([10.0, 20, 30, 60]), np.array([2, 1, 2, 1])
    state = started(box)
    for t in range(1, 20):
        state = corrected(predicted(state), box + t * speed)
    assert np.abs(predicted(state).box_xyxy - (box + 20 * speed)).max() < 0.5


def sees(*boxes_xyxy, ious=(0.9, 0.8, 0.7), object_score=5.0):
    """Return a glance at up to three boxes."""
    logits = torch.full((3, 64, 64), -1.0)
    for mask, (left, top, right, bottom) in zip(logits, boxes_xyxy, strict=False):
        mask[top:bottom, left:right] = 1
    scores = torch.tensor([[object_score]]), torch.tensor([ious])
    (glance,) = glances(Candidates(logits[None], torch.zeros(1, 3, 4), *scores))
    return glance


def watch(judge, seen: list[Glance], step: int = 1) -> tuple[ObjectState, list[Verdict]]:
    """Let a policy judge frames from 0 on, or from 100 back."""
    bank, verdicts = ObjectState(), []
    for n, glance in enumerate(seen):
        t = n if step == 1 else 100 - n
        verdict = judge(bank, t, glance)
        bank.remember(t, torch.tensor([float(t)]), torch.tensor([float(t)]), verdict)
        verdicts.append(verdict)
    return bank, verdicts


def moving(n: int) -> tuple[int, int, int, int]:
    return n, 10, n + 12, 22


LOOK_ALIKE = (45, 45, 57, 57)


def test_where_the_motion_is_steady_a_look_alike_elsewhere_is_not_taken():
    passing = [sees(moving(n)) for n in range(20)]
    tempting = sees(LOOK_ALIKE, moving(20), ious=(0.9, 0.85, 0.1))
    assert watch(motion.judge, [*passing, tempting])[1][-1].choice == 1
    assert watch(motion.judge, [*passing[:5], tempting])[1][-1].choice == 0, "not yet steady"


def test_after_a_prompt_the_motion_begins_anew():
    """One that was on a look-alike would keep it there, against the prompt."""
    bank, _ = watch(motion.judge, [sees(LOOK_ALIKE)] * 24)
    true_first = sees(moving(25), LOOK_ALIKE, ious=(0.9, 0.8, 0.1))
    assert motion.judge(bank, 24, true_first).choice == 1
    assert motion.judge(bank, 25, true_first).choice == 0, "frame 24 was prompted"
    assert 25 in motion.judge(bank, 25, sees(moving(25))).keep


@pytest.mark.parametrize(
    "unsure", [sees(moving(10), ious=(0.4, 0.1, 0.1)), sees(moving(10), object_score=-1.0)]
)
@pytest.mark.parametrize("step", [1, -1])
def test_an_unsure_frame_is_looked_at_once_and_leaves_its_place_to_an_older_one(unsure, step):
    seen = [sees(moving(n)) for n in range(10)]
    bank, _ = watch(motion.judge, [*seen, unsure], step)
    assert {abs(t - (0 if step == 1 else 100)) for t in bank.memories} == {4, 5, 6, 7, 8, 9, 10}
    bank, _ = watch(motion.judge, [*seen, unsure, sees(moving(11))], step)
    assert {abs(t - (0 if step == 1 else 100)) for t in bank.memories} == {5, 6, 7, 8, 9, 11}


@pytest.mark.parametrize("judge", [motion.judge, distractors.judge])
def test_what_is_remembered_stays_bounded(judge):
    turns = [
        sees(moving(3), LOOK_ALIKE),
        sees(moving(4)),
        sees(object_score=-5.0),
        sees(moving(5), ious=(0.2, 0, 0)),
    ]
    bank, _ = watch(judge, turns * 100)
    assert len(bank.memories) <= 7
    assert len(bank.pointers) <= 15 + len(bank.anchors)
    assert bank.anchors <= bank.memories.keys() & bank.pointers.keys()


def test_an_object_that_is_away_for_long_is_remembered_as_it_was():
    seen = [sees(moving(n)) for n in range(10)] + [sees(object_score=-5.0)] * 50
    for judge in (motion.judge, distractors.judge):
        bank, _ = watch(judge, seen)
        assert len([t for t in bank.memories if t < 10]) >= 2


def test_a_frame_with_a_look_alike_becomes_an_anchor_and_three_stay():
    bank, _ = watch(distractors.judge, [sees(moving(3), LOOK_ALIKE)] * 40)
    assert bank.anchors == {25, 31, 37}
    assert bank.memories.keys() == {25, 31, 37, 30, 35, 39}


@pytest.mark.parametrize(
    "seen",
    [
        sees(moving(3), LOOK_ALIKE, ious=(0.7, 0.6, 0.1)),
        sees(moving(3), moving(4)),
        sees(moving(3)),
    ],
    ids=["unsure", "an outline that differs", "nothing else"],
)
def test_other_frames_become_no_anchors(seen):
    assert not watch(distractors.judge, [seen] * 20)[0].anchors


def test_a_mask_that_has_just_grown_becomes_no_anchor():
    grown = sees((3, 10, 25, 22), LOOK_ALIKE)
    bank, _ = watch(distractors.judge, [*[sees(moving(3))] * 12, grown])
    assert not bank.anchors


def test_of_spaced_frames_the_last_two_are_remembered_and_the_newest():
    assert watch(distractors.judge, [sees(moving(3))] * 24)[0].memories.keys() == {15, 20, 23}
    assert watch(distractors.judge, [sees(moving(3))] * 24, step=-1)[0].memories.keys() == {85, 80, 77}


def test_anchors_are_looked_at_like_key_frames_and_the_rest_by_rank():
    bank = ObjectState(anchors=frozenset({3, 30}))
    mark = torch.tensor([0.0])
    bank.conditioning[0] = ConditioningFrame(mark, mark, mark, mark, mark)
    for t in (3, 20, 25, 30, 34):
        bank.memories[t] = torch.tensor([float(t)])
    for t in (3, *range(20, 35)):
        bank.pointers[t] = torch.tensor([float(t)])
    past = look_back(bank, 35, 16, Reach(ranked=True))
    assert [int(m) for m in past.memories] == [0, 3, 30, 20, 25, 34]
    assert past.rows == [6, 6, 6, 2, 1, 0]
    assert [int(p) for p in past.pointers] == [0, 3, 30, 34, 33, 32, 31, *range(29, 19, -1)]
    assert past.ages[:3] == [35 / 15, 32 / 15, 5 / 15]


def test_the_newest_frame_is_recent_too_where_it_is_an_anchor():
    bank, _ = watch(distractors.judge, [*[sees(moving(3))] * 11, sees(moving(3), LOOK_ALIKE)])
    assert bank.anchors == {11}
    past = look_back(bank, 12, 16, Reach(ranked=True))
    assert ([int(m) for m in past.memories], past.rows) == ([11, 5, 10, 11], [6, 2, 1, 0])


def test_a_key_frame_that_is_not_among_the_closest_is_ranked_with_the_others():
    bank = ObjectState()
    for t in (0, 55, 57, 59):
        mark = torch.tensor([float(t)])
        bank.conditioning[t] = ConditioningFrame(mark, mark, mark, mark, mark)
    for t in (54, 56, 58):
        bank.memories[t] = torch.tensor([float(t)])
    past = look_back(bank, 60, 16, Reach(max_conditioning=2, ranked=True))
    assert [int(m) for m in past.memories] == [59, 57, 54, 55, 56, 58]


def test_a_cut_forgets_what_a_policy_noted():
    bank, _ = watch(distractors.judge, [sees(moving(3), LOOK_ALIKE)] * 20)
    bank.forget_tracked()
    assert bank == ObjectState()
