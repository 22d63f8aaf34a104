"""Who is who: decided on tables of a few objects, whose embeddings are directions in the plane."""

from itertools import permutations

import numpy as np
import pytest

from pipeline.stages.clusters import Linkage
from pipeline.stages.identities import (
    AcrossConfig,
    LinkConfig,
    Seen,
    WithinConfig,
    find_links,
    overlap_seconds,
)


def seen(video_id, object_id, start, stop, degrees, kind=("person",)):
    turned = None if degrees is None else np.deg2rad(degrees)
    embedding = None if turned is None else np.array([np.cos(turned), np.sin(turned)])
    return Seen(video_id, object_id, kind, ((start, stop),), embedding)


def config(within_degrees=30, across_degrees=30, gap=10.0, linkage=Linkage.average, **more):
    never_at_once = more.pop("never_at_once", False)
    return LinkConfig(
        WithinConfig(np.cos(np.deg2rad(within_degrees)), gap),
        AcrossConfig(np.cos(np.deg2rad(across_degrees)), linkage, never_at_once),
        **more,
    )


def identities(objects, settings):
    """Return the groups of objects that are one, as sets of (video, object id)."""
    groups = [{(one.video_id, one.object_id)} for one in objects]
    for link in find_links(objects, settings):
        ends = [(objects[i].video_id, objects[i].object_id) for i in (link.first, link.second)]
        joined = [group for group in groups if group & set(ends)]
        groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return sorted(sorted(group) for group in groups)


def ids(groups):
    return [[object_id for _, object_id in group] for group in groups]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        # alike, one after the other
        ([("a", 1, 0, 5, 0), ("a", 2, 6, 9, 5)], [[1, 2]]),
        # one after the other, not alike
        ([("a", 1, 0, 5, 0), ("a", 2, 6, 9, 90)], [[1], [2]]),
        # alike, and seen at the same time
        ([("a", 1, 0, 5, 0), ("a", 2, 3, 9, 0)], [[1], [2]]),
        # at the same time for a moment: within the tolerance
        ([("a", 1, 0, 5, 0), ("a", 2, 4.95, 9, 0)], [[1, 2]]),
        # the gap is too long
        ([("a", 1, 0, 5, 0), ("a", 2, 16, 19, 0)], [[1], [2]]),
        # never seen, so without an embedding
        ([("a", 1, 0, 5, 0), ("a", 2, 6, 9, None)], [[1], [2]]),
        # a chain of three
        ([("a", 1, 0, 5, 0), ("a", 2, 6, 9, 20), ("a", 3, 10, 12, 40)], [[1, 2, 3]]),
        # two leave, two return: each to the one that it looks like, though object 3 is alike enough to both
        (
            [("a", 1, 0, 5, 0), ("a", 2, 0, 5, 25), ("a", 3, 6, 9, 20), ("a", 4, 6, 9, 1)],
            [[1, 4], [2, 3]],
        ),
        # all in all the best: 1 with 4 and 2 with 3, though 1 and 3 are the most alike pair
        (
            [("a", 1, 0, 5, 10), ("a", 2, 0, 5, 40), ("a", 3, 6, 9, 12), ("a", 4, 6, 9, -15)],
            [[1, 4], [2, 3]],
        ),
    ],
)
def test_broken_ends_of_a_video_are_joined(objects, expected):
    assert ids(identities([seen(*one) for one in objects], config(within_degrees=45))) == expected


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        # the same two in two cameras
        ([("a", 1, 0, 5, 0), ("a", 2, 0, 5, 90), ("b", 3, 0, 5, 85), ("b", 4, 0, 5, 5)], [[1, 4], [2, 3]]),
        # both of b look like 1, and can't both be it: they are seen at the same time
        ([("a", 1, 0, 5, 0), ("b", 2, 0, 5, 5), ("b", 3, 0, 5, 10)], [[1, 2], [3]]),
        # b's two are broken ends that look too different to be joined by themselves: a's joins them
        ([("a", 1, 0, 50, 0), ("b", 2, 0, 5, 25), ("b", 3, 30, 35, -25)], [[1, 2, 3]]),
        # three cameras in a row, each like the next: the first and the last are 40 degrees apart
        ([("a", 1, 0, 5, 0), ("b", 2, 0, 5, 20), ("c", 3, 0, 5, 40)], [[1, 2, 3]]),
    ],
)
def test_objects_of_several_videos_are_joined(objects, expected):
    assert ids(identities([seen(*one) for one in objects], config(across_degrees=32))) == expected


def test_complete_linkage_asks_all_pairs_to_be_alike():
    objects = [seen("a", 1, 0, 5, 0), seen("b", 2, 0, 5, 19), seen("c", 3, 0, 5, 40)]
    assert ids(identities(objects, config(linkage=Linkage.complete))) == [[1, 2], [3]]


def test_labels_and_what_made_the_embeddings_keep_objects_apart():
    person, cup = seen("a", 1, 0, 5, 0, ("person",)), seen("b", 2, 0, 5, 0, ("cup",))
    assert ids(identities([person, cup], config())) == [[1], [2]]
    assert ids(identities([person, seen("b", 2, 0, 5, 0, ("person",))], config())) == [[1, 2]]


@pytest.mark.parametrize(
    ("start", "never_at_once", "joined"),
    [
        (0, False, True),  # cameras that look at one place
        (0, True, False),  # cameras of two places: nobody is in both at once
        (6, True, True),  # first in one, then in the other
    ],
)
def test_what_a_shared_clock_says_is_the_users_to_tell(start, never_at_once, joined):
    objects = [seen("a", 1, 0, 5, 0), seen("b", 2, start, start + 5, 0)]
    assert (len(identities(objects, config(never_at_once=never_at_once))) == 1) == joined


def test_nothing_is_joined_by_way_of_a_third_that_is_seen_at_the_same_time():
    rng = np.random.default_rng(0)
    objects = [seen(video, i, 0, 5, rng.uniform(0, 40)) for video in "abcd" for i in range(4)]
    for group in identities(objects, config(across_degrees=60)):
        assert len({video for video, _ in group}) == len(group)


def test_the_order_of_the_objects_changes_nothing():
    objects = [
        seen(*one) for one in [("a", 1, 0, 5, 0), ("a", 2, 6, 9, 12), ("b", 1, 0, 9, 3), ("c", 1, 0, 9, 50)]
    ]
    found = {str(identities(list(order), config())) for order in permutations(objects)}
    assert len(found) == 1


def test_links_say_how_alike_two_are_and_what_they_were_joined_by():
    objects = [seen("a", 1, 0, 5, 0), seen("b", 1, 0, 5, 10), seen("c", 1, 0, 5, 30)]
    first, second = find_links(objects, config())
    assert (first.first, first.second, first.score) == (0, 1, pytest.approx(np.cos(np.deg2rad(10))))
    assert (second.first, second.second) == (1, 2)
    assert second.similarity == pytest.approx(np.cos(np.deg2rad(20)))
    assert second.score == pytest.approx(np.cos(np.deg2rad([20, 30])).mean())


def test_centred_embeddings_tell_apart_what_lies_close_together():
    objects = [seen("a", 1, 0, 5, 0), seen("a", 2, 0, 5, 10), seen("b", 1, 0, 5, 1), seen("b", 2, 0, 5, 9)]
    assert ids(identities(objects, config(across_degrees=89, centre=True))) == [[1, 1], [2, 2]]


def test_time_together_is_that_of_all_spans():
    one = Seen("a", 1, (), ((0.0, 2.0), (5.0, 8.0), (9.0, 10.0)), np.ones(1))
    other = Seen("a", 2, (), ((1.0, 6.0), (7.5, 9.5)), np.ones(1))
    assert overlap_seconds(one, other) == overlap_seconds(other, one) == pytest.approx(1 + 1 + 0.5 + 0.5)


def test_no_objects_have_no_links():
    assert find_links([], config()) == []
    assert find_links([seen("a", 1, 0, 5, None)], config()) == []


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda: WithinConfig(min_similarity=1.5), "within.min_similarity"),
        (lambda: AcrossConfig(min_similarity=-2), "across.min_similarity"),
        (lambda: WithinConfig(max_gap_seconds=-1), "within.max_gap_seconds"),
        (lambda: LinkConfig(max_overlap_seconds=-1), "max_overlap_seconds"),
    ],
)
def test_settings_out_of_range_are_named(made, named):
    with pytest.raises(ValueError, match=named):
        made()
