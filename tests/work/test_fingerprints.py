"""What decides masks changes a fingerprint, and nothing else does."""

from dataclasses import replace

from pipeline.records import Prompt
from pipeline.work.fingerprints import changed_keys, fingerprint

BOX = Prompt(1, 0, box_xyxy=(0, 0, 4, 4))
OTHER = Prompt(1, 9, box_xyxy=(2, 0, 6, 4))
GATE, YARD = replace(BOX, video_uri="https://host/gate.mp4?sig=1"), replace(OTHER, video_uri="yard.mp4")
SEEN = {"https://host/gate.mp4?sig=1": {"etag": "g"}, "https://host/gate.mp4?sig=2": {"etag": "g"}}
SEEN |= {"yard.mp4": {"etag": "y"}}


def of(*prompts, seen=SEEN):
    return fingerprint(prompts, {"etag": "v"}, {}, "weights", seen)


def test_key_frames_may_come_in_any_order():
    assert of(BOX, OTHER) == of(OTHER, BOX)


def test_of_references_the_last_one_is_the_nearest():
    assert changed_keys(of(GATE, YARD), of(YARD, GATE))
    again = replace(GATE, frame_index=5)
    assert changed_keys(of(GATE, again), of(again, GATE)) == ["prompts"]


def test_references_of_several_objects_may_be_mixed_in_any_way():
    second = replace(YARD, object_id=2)
    assert of(GATE, second) == of(second, GATE)


def test_a_url_that_is_signed_anew_is_the_same_reference():
    assert of(GATE) == of(replace(GATE, video_uri="https://host/gate.mp4?sig=2"))


def test_another_file_behind_a_reference_is_another_one():
    changed = changed_keys(of(GATE), of(GATE, seen={GATE.video_uri: {"etag": "new"}}))
    assert changed == ["reference.0"]
