"""What objects look like: the same alone or among others, and after any stop; from frames that show them."""

import pytest
import torch

from pipeline.engine.appearance import appearance_of, note_sightings, with_sighting
from pipeline.engine.state import VideoState
from pipeline.records import Prompt
from tests.engine.scenes import DISC, MASKS, SIZE_HW, SQUARE, condition, engine_of, nano_model, scene

FRAMES = 20
STRETCHES = 4
WHOLE = Prompt(7, 0, box_xyxy=(5, 5, 150, 85))
PROMPTS = [DISC, SQUARE, WHOLE]


@pytest.fixture(scope="module")
def engine():
    return engine_of(nano_model())


@pytest.fixture(scope="module")
def frames(engine):
    return scene(FRAMES, engine.image_size_px)


@pytest.fixture(scope="module")
def together(engine, frames):
    return passed_over(engine, frames, begun(engine, frames, PROMPTS))


def begun(engine, frames, prompts):
    state = VideoState(num_frames=16)
    condition(engine, state, frames, prompts, MASKS)
    return state


def passed_over(engine, frames, state):
    for frame in frames:
        (features,) = engine.encode([frame])
        (output,) = engine.step([(state, features)])
        note_sightings(state, features, output, STRETCHES)
    return state


def look(state, object_id):
    return appearance_of(state.objects[object_id].sightings)


@pytest.mark.parametrize("prompt", PROMPTS, ids=["disc", "square", "whole"])
def test_alone_or_among_others_an_object_looks_the_same(engine, frames, together, prompt):
    alone = look(passed_over(engine, frames, begun(engine, frames, [prompt])), prompt.object_id)
    joint = look(together, prompt.object_id)
    assert (alone.embedding == joint.embedding).all()
    assert alone.frames == joint.frames


@pytest.mark.parametrize("stop_after", [1, 7, 13])
def test_storing_and_loading_the_state_changes_no_look(engine, frames, together, stop_after):
    state = passed_over(engine, frames[:stop_after], begun(engine, frames, PROMPTS))
    stored = {name: tensor.clone() for name, tensor in reversed(state.to_tensors().items())}
    after = passed_over(engine, frames[stop_after:], VideoState.from_tensors(stored, torch.device("cpu")))
    for object_id in (1, 2, 7):
        assert (look(after, object_id).embedding == look(together, object_id).embedding).all()


def test_a_look_is_a_vector_of_length_1_from_frames_of_the_object(together):
    for object_id, first_frame in ((1, 0), (2, 3)):
        embedding, frames = look(together, object_id)
        assert embedding @ embedding == pytest.approx(1, abs=1e-5)
        assert first_frame <= min(frames) and len(frames) <= STRETCHES


def sighting(quality, t, iou_score=0.9):
    return torch.tensor([quality, t, iou_score, *([1.0, 0.0] if t % 2 else [0.0, 1.0])])


def kept_of(qualities, stretches, order=1):
    kept = {}
    for t in range(len(qualities))[::order]:
        kept = with_sighting(kept, t, sighting(qualities[t], t), stretches)
    return kept


@pytest.mark.parametrize(
    ("qualities", "frames"),
    [
        pytest.param([1, 2, 3], [0, 1, 2], id="few frames are all kept"),
        pytest.param([1, 2, 1, 1, 3, 1, 1, 5], [1, 2, 4, 7], id="the best of each 2 of 8 frames, ties early"),
        pytest.param(
            [1] * 7 + [0, 0], [0, 4], id="9 frames make stretches of 4; unseen ones are no sighting"
        ),
        pytest.param([0, 0], None, id="never seen"),
    ],
)
def test_each_stretch_of_time_keeps_its_best_frame(qualities, frames):
    found = appearance_of(kept_of(qualities, stretches=4))
    assert (None if found is None else found.frames) == frames


@pytest.mark.parametrize("stretches", [1, 3, 8])
def test_what_is_kept_stays_small_and_is_the_same_from_either_end(stretches):
    qualities = torch.randperm(100, generator=torch.Generator().manual_seed(0)).add(1).tolist()
    kept, backward = kept_of(qualities, stretches), kept_of(qualities, stretches, order=-1)
    assert stretches / 2 <= len(kept) <= stretches
    assert appearance_of(kept).frames == appearance_of(backward).frames


def test_frames_on_which_the_object_was_lost_are_left_out():
    kept = {0: sighting(0.2, 0, iou_score=0.9), 8: sighting(0.3, 9, iou_score=0.1)}
    assert appearance_of(kept).frames == [0]


def test_a_frame_whose_edge_cuts_the_object_gives_way_to_one_that_shows_it_whole(engine, frames):
    """The square, followed to the left until half of it is left."""
    state = begun(engine, frames, [DISC])
    (features,) = engine.encode([frames[0]])
    (output,) = engine.step([(state, features)])
    (head,) = output.heads
    cut = head._replace(mask_logits=torch.roll(head.mask_logits, -head.mask_logits.shape[-1] // 5, -1))
    assert (cut.mask_logits[..., 0] > 0).any()
    for index, one in ((0, cut), (1, head)):
        shown = type(output)(index, 0.0, SIZE_HW, (1,), (one,), (False,))
        note_sightings(state, type(features)(index, 0.0, SIZE_HW, features.shared), shown, stretches=1)
    assert look(state, 1).frames == [1]
