"""What the figures of tracking say about cases that can be counted by hand."""

from importlib.util import find_spec

import numpy as np
import pytest

from tests.benchmarks.tracking_cases import drawn, masks_of

pytestmark = pytest.mark.skipif(
    find_spec("trackers") is None, reason="the package `trackers` is not installed"
)

NOTHING = np.zeros((20, 60), bool)


def scored(video, found, prompted=frozenset({0})):
    from benchmarks.tracking_metrics import score

    return score(video, found, prompted)


def found_of(*sights: dict[int, int]) -> dict:
    return {t: masks_of(sight) for t, sight in enumerate(sights)}


def test_what_equals_the_truth_is_perfect():
    sights = [{1: 0, 2: 30}] * 8
    scores = scored(drawn(*sights), found_of(*sights))
    assert (scores.j, scores.j_seen, scores.idf1, scores.hota) == (1, 1, 1, pytest.approx(1))
    assert (scores.switches, scores.returns, scores.invented) == (0, 0, 0)


def test_swapped_objects_switch_once_each_and_lose_half_of_their_identity():
    true = [{1: 0, 2: 30}] * 9
    swapped = [{1: 0, 2: 30}] * 5 + [{1: 30, 2: 0}] * 4
    scores = scored(drawn(*true), found_of(*swapped))
    assert scores.switches == 2
    assert scores.idf1 == 0.5  # 4 of the 8 frames that count
    assert scores.j == 0.5


def test_frames_with_a_prompt_do_not_count():
    true, wrong = [{1: 0}] * 4, [{1: 0}, {1: 0}, {1: 40}, {1: 0}]
    assert scored(drawn(*true), found_of(*wrong), {0, 2}).j == 1
    assert scored(drawn(*true), found_of(*wrong), {0}).j == pytest.approx(2 / 3)


def test_frames_without_rows_show_nothing():
    assert scored(drawn({1: 0}, {1: 0}, {1: 0}), {1: masks_of({1: 0})}).j == 0.5


@pytest.mark.parametrize(
    ("away", "found_at", "returns", "recovered"),
    [
        pytest.param(5, 3, 1, 1, id="found three frames after it is back"),
        pytest.param(5, 25, 1, 0, id="found too late"),
        pytest.param(4, 3, 0, 0, id="away too shortly to count"),
    ],
)
def test_an_object_that_is_back_is_to_be_found_soon(away, found_at, returns, recovered):
    true = [{1: 0}] * 3 + [{}] * away + [{1: 40}] * 30
    back = 3 + away
    found = {t: masks_of({1: 40}) for t in range(back + found_at, len(true))}
    scores = scored(drawn(*true), found)
    assert (scores.returns, scores.recovered) == (returns, recovered)


def test_what_is_found_of_an_absent_object_is_invented():
    true = [{1: 0}] * 3 + [{}] * 4
    found = found_of(*[{1: 0}] * 5) | {5: {1: NOTHING}}
    scores = scored(drawn(*true), found)
    assert (scores.unseen, scores.invented) == (4, 2)
    assert scores.j == pytest.approx(4 / 6) and scores.j_seen == 1
