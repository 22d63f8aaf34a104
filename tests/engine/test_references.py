"""What another video shows of an object conditions this one, as if it came just before the first frame."""

from dataclasses import replace

import torch

from pipeline.engine.state import VideoState
from pipeline.records import Prompt, Rle
from tests.engine.oracle import give_prompts, official_predictor, official_state
from tests.engine.scenes import (
    SIZE_HW,
    disc,
    engine_of,
    logits_of,
    model_prompt,
    nano_model,
    scene,
    track,
)

SEEN = Prompt(1, 0, mask=Rle(SIZE_HW, b""))
SEEN_LATER = Prompt(1, 6, mask=Rle(SIZE_HW, b"6"))
MASKS = {SEEN: disc(0), SEEN_LATER: disc(6)}


def official_logits_from(predictor, elsewhere, here):
    """Return logits by frame of a video whose object two frames of another video show."""
    source = official_state(predictor, elsewhere)
    give_prompts(predictor, source, [SEEN, SEEN_LATER], MASKS)
    predictor.propagate_in_video_preflight(source)
    state = official_state(predictor, here)
    predictor._obj_id_to_idx(state, 1)
    known = source["output_dict_per_obj"][0]["cond_frame_outputs"]
    state["output_dict_per_obj"][0]["cond_frame_outputs"].update({-2: known[0], -1: known[6]})
    return {t: logits[0, 0] for t, _, logits in predictor.propagate_in_video(state, start_frame_idx=0)}


def our_logits_from(engine, elsewhere, here):
    state = VideoState(num_frames=16)
    for place, prompt in ((-2, SEEN), (-1, SEEN_LATER)):
        (features,) = engine.encode([elsewhere[prompt.frame_index]])
        state.condition(1, place, engine.look_at(features, model_prompt(engine, prompt, MASKS)))
    outputs = [track(engine, state, frame) for frame in here]
    assert not any(output.prompted[0] for output in outputs)
    return {output.frame_index: logits_of(engine, output.heads[0]) for output in outputs}


def test_memory_that_is_carried_over_gives_the_official_masks():
    model = nano_model()
    frames = scene(36, model.image_size)
    elsewhere, here = frames[:8], [replace(frame, index=i) for i, frame in enumerate(frames[12:])]
    theirs = official_logits_from(official_predictor(model, "nano"), elsewhere, here)
    ours = our_logits_from(engine_of(model), elsewhere, here)
    assert ours.keys() == theirs.keys() == set(range(24))
    assert (ours[0] - theirs[0]).abs().max() < 1e-2
    pairs = [(ours[t] > 0, theirs[t] > 0) for t in ours]
    assert sum((a & b).sum() for a, b in pairs) > 0.999 * sum((a | b).sum() for a, b in pairs)
    assert torch.stack([theirs[t] > 0 for t in theirs]).any()
