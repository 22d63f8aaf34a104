"""What waits is computed in batches, in a fair order, and a fault stays with its request."""

import pytest

from pipeline.engine.requests import Request, answer, next_batch, shares


def encode(items):
    return [f"features of {item}" for item in items]


def track(items):
    if "broken" in items:
        raise ValueError("a broken lane")
    return [f"mask of {item}" for item in items]


def tracking(frame_index, items=("lane",), video=None, at_once=16):
    return Request(track, list(items), frame_index, video or object(), at_once)


def test_the_video_furthest_behind_decides_what_comes_next():
    ahead, behind, further = Request(encode, ["frame"], 9, object()), tracking(2), tracking(7)
    assert next_batch([ahead, further, behind], idle_teams=1) == [behind, further]


def test_teams_that_are_idle_share_what_waits():
    waiting = [tracking(t) for t in range(5)]
    assert next_batch(waiting, idle_teams=2) == waiting[:3]
    assert next_batch(waiting[3:], idle_teams=1) == waiting[3:]


def test_a_batch_is_no_larger_than_allowed():
    waiting = [tracking(t, ["lane"] * 3, at_once=8) for t in range(5)]
    assert next_batch(waiting, idle_teams=1) == waiting[:2]


def test_a_request_larger_than_a_share_is_taken_whole():
    request = tracking(0, ["lane"] * 20, at_once=8)
    assert next_batch([request, tracking(1)], idle_teams=2) == [request]


def test_parts_of_one_video_never_go_together():
    video = object()
    halves, other = [tracking(4, video=video), tracking(4, video=video)], tracking(9)
    assert next_batch([*halves, other], idle_teams=1) == [halves[0], other]


def test_a_request_that_fails_harms_none_that_it_was_computed_with():
    good, bad = tracking(0, ["a", "b"]), tracking(1, ["broken"])
    answer([good, bad], lambda kind, items: kind(items))
    assert good.answer.result(0) == ["mask of a", "mask of b"]
    with pytest.raises(ValueError, match="a broken lane"):
        bad.answer.result(0)


@pytest.mark.parametrize(
    ("count", "parts", "lengths"), [(5, 2, [2, 3]), (1, 2, [1]), (0, 2, []), (4, 1, [4])]
)
def test_items_are_shared_out_evenly(count, parts, lengths):
    found = shares(range(count), parts)
    assert [len(part) for part in found] == lengths
    assert [item for part in found for item in part] == list(range(count))
