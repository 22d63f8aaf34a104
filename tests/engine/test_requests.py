"""What waits is computed in batches, in a fair order, and a fault stays with its request."""

import pytest

from pipeline.engine.requests import Request, answer, next_batch, shares


def encode(items):
    return [f"features of {item}" for item in items]


def track(items):
    if "broken" in items:
        raise ValueError("a broken lane")
    return [f"mask of {item}" for item in items]


def tracking(items=("lane",), video=None, at_once=16):
    return Request(track, list(items), video or object(), at_once)


def test_what_has_waited_longest_decides_what_comes_next():
    first, second, third = tracking(), Request(encode, ["frame"], object()), tracking()
    assert next_batch([first, second, third], idle_teams=1) == [first, third]


def test_teams_that_are_idle_share_what_waits():
    waiting = [tracking() for _ in range(5)]
    assert next_batch(waiting, idle_teams=2) == waiting[:3]
    assert next_batch(waiting[3:], idle_teams=1) == waiting[3:]


def test_a_batch_is_no_larger_than_allowed():
    waiting = [tracking(["lane"] * 3, at_once=8) for _ in range(5)]
    assert next_batch(waiting, idle_teams=1) == waiting[:2]


def test_a_request_larger_than_a_share_is_taken_whole():
    request = tracking(["lane"] * 20, at_once=8)
    assert next_batch([request, tracking()], idle_teams=2) == [request]


def test_parts_of_one_video_never_go_together():
    video = object()
    halves, other = [tracking(video=video), tracking(video=video)], tracking()
    assert next_batch([*halves, other], idle_teams=1) == [halves[0], other]


def test_a_request_that_fails_harms_none_that_it_was_computed_with():
    good, bad = tracking(["a", "b"]), tracking(["broken"])
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
