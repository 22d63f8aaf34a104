"""Objects do not influence each other, and the past is one object that can be stored."""

import pytest
import torch

from pipeline.engine.state import VideoState
from pipeline.outputs.rle import decode_masks
from pipeline.records import Prompt
from tests.engine.scenes import DISC, MASKS, SQUARE, condition, engine_of, propagate, scene, track

FRAMES = 24
DISC_LATER = Prompt(1, 10, points_xy=((50, 30),), point_labels=(1,))
WHOLE = Prompt(7, 0, box_xyxy=(5, 5, 150, 85))
PROMPTS = [DISC, DISC_LATER, SQUARE, WHOLE]


@pytest.fixture(scope="module")
def frames(model):
    return scene(FRAMES, model.image_size)


@pytest.fixture(scope="module")
def together(model, frames):
    return propagate(engine_of(model), frames, PROMPTS, MASKS)


@pytest.mark.parametrize("object_id", [1, 2, 7])
def test_alone_or_among_others_an_object_gets_the_same_masks(model, frames, together, object_id):
    own = [p for p in PROMPTS if p.object_id == object_id]
    _, alone = propagate(engine_of(model), frames, own, MASKS)
    joint = {key: logits for key, logits in together[1].items() if key[0] == object_id}
    assert alone.keys() == joint.keys()
    assert all((alone[key] == joint[key]).all() for key in alone)


def test_an_object_has_no_rows_before_its_first_prompt(together):
    results, _ = together
    assert [r.object_ids for r in results[:4]] == [(1, 7), (1, 7), (1, 7), (1, 2, 7)]
    assert all(r.object_ids == (1, 2, 7) for r in results[3:])


def test_prompted_frames_are_marked(together):
    prompted = {
        (o, r.frame_index) for r in together[0] for o, p in zip(r.object_ids, r.prompted, strict=True) if p
    }
    assert prompted == {(1, 0), (1, 10), (2, 3), (7, 0)}


@pytest.mark.parametrize("stop_after", [0, 1, 4, 7, 16, 23])
def test_storing_and_loading_the_state_changes_no_mask(model, frames, together, stop_after):
    engine = engine_of(model)
    state = VideoState(num_frames=16)
    condition(engine, state, frames, PROMPTS, MASKS)
    masks = [engine.masks(track(engine, state, frame)).rles for frame in frames[:stop_after]]
    stored = {name: tensor.clone() for name, tensor in state.to_tensors().items()}

    restored = VideoState.from_tensors(stored, torch.device("cpu"))
    assert restored.next_frame == stop_after
    masks += [engine.masks(track(engine, restored, f)).rles for f in frames[restored.next_frame :]]

    assert all(ours == r.rles for ours, r in zip(masks, together[0], strict=True))


def test_the_state_stops_growing_with_the_video(model):
    frames = scene(40, model.image_size)
    engine, state = engine_of(model), VideoState(num_frames=16)
    condition(engine, state, frames, [DISC, SQUARE], MASKS)
    sizes = []
    for frame in frames:
        track(engine, state, frame)
        sizes.append(sum(t.numel() * t.element_size() for t in state.to_tensors().values()))
    assert sizes[5] < sizes[20]  # it fills up at first
    assert len(set(sizes[20:])) == 1


def test_non_overlap_gives_each_pixel_to_one_object_at_most(model, frames):
    results, _ = propagate(engine_of(model, non_overlap=True), frames, PROMPTS, MASKS)
    overlapping, _ = propagate(engine_of(model), frames, PROMPTS, MASKS)
    apart = [decode_masks(r.rles) for r in results]
    overlapped = [decode_masks(r.rles) for r in overlapping]
    assert any((masks.sum(0) > 1).any() for masks in overlapped), "nothing overlaps: a weak test"
    assert all((masks.sum(0) <= 1).all() for masks in apart)
    assert all((a.any(0) == o.any(0)).all() for a, o in zip(apart, overlapped, strict=True))
