"""Every object is in exactly one shard, whose name is its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Direction, Prompt
from pipeline.storage.names import path_name
from pipeline.work.shards import group_objects, in_directions, longest_first, make_shards, remaining, shard_id

OBJECT_IDS = st.lists(st.integers(1, 50), min_size=1, max_size=30)
GROUP_SIZES = st.none() | st.integers(1, 8)


def prompts_of(object_ids):
    return [Prompt(i, frame_index=n, box_xyxy=(0, 0, 4, 4)) for n, i in enumerate(object_ids)]


def shards_of(object_ids, objects_per_shard=None, video_id="cam", num_frames=10):
    return make_shards(video_id, "cam.mp4", prompts_of(object_ids), num_frames, objects_per_shard)


@pytest.mark.parametrize(
    ("object_ids", "objects_per_shard", "groups"),
    [
        pytest.param([7, 1, 3], None, [(1, 3, 7)], id="all together"),
        pytest.param([7, 1, 3], 2, [(1, 3), (7,)], id="the last group is smaller"),
        pytest.param([7, 1, 7, 7], 2, [(1, 7)], id="several prompts of one object"),
        pytest.param([5, 6], 9, [(5, 6)], id="room left over"),
        pytest.param([], None, [], id="no objects"),
        pytest.param([], 3, [], id="no objects to split"),
    ],
)
def test_objects_are_grouped_in_rising_order(object_ids, objects_per_shard, groups):
    assert group_objects(object_ids, objects_per_shard) == groups


def test_groups_of_no_object_are_refused():
    with pytest.raises(ValueError, match="objects_per_shard must be 1 or more, or null for all, got 0"):
        group_objects([1], 0)


@given(OBJECT_IDS, GROUP_SIZES)
def test_every_prompt_is_in_exactly_one_shard(object_ids, objects_per_shard):
    shards = shards_of(object_ids, objects_per_shard)

    placed = sorted((prompt for shard in shards for prompt in shard.prompts), key=lambda p: p.frame_index)
    assert placed == prompts_of(object_ids)


@given(OBJECT_IDS, GROUP_SIZES)
def test_no_object_is_split(object_ids, objects_per_shard):
    homes = [i for shard in shards_of(object_ids, objects_per_shard) for i in shard.object_ids]

    assert sorted(homes) == sorted(set(object_ids))


@given(
    st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=5, unique=True), OBJECT_IDS, GROUP_SIZES
)
def test_no_two_shards_of_a_run_share_an_id(video_ids, object_ids, objects_per_shard):
    ids = [shard.id for name in video_ids for shard in shards_of(object_ids, objects_per_shard, name)]

    assert len(set(ids)) == len(ids)


@given(st.text(min_size=1, max_size=300), OBJECT_IDS, GROUP_SIZES)
def test_a_shard_id_is_safe_as_a_file_name(video_id, object_ids, objects_per_shard):
    for shard in shards_of(object_ids, objects_per_shard, video_id):
        assert shard.id.isascii()
        assert "/" not in shard.id
        assert shard.id[0] not in "._"
        assert len(shard.id) < 200


def test_a_whole_video_is_named_as_the_video_and_a_group_by_its_objects():
    assert [shard.id for shard in shards_of([1, 2, 3], 2, "site 7")] == [
        f"{path_name('site 7')}~objects-1-2",
        f"{path_name('site 7')}~objects-3-3",
    ]
    assert shard_id("site 7", (1, 2, 3), alone=True) == path_name("site 7")


def test_the_costliest_shards_come_first_and_equals_stay_in_order():
    short, long = shards_of([1], num_frames=5), shards_of([1], video_id="long", num_frames=50)
    crowded, like_short = shards_of([1, 2, 3], video_id="crowded"), shards_of([1], video_id="x", num_frames=5)

    ordered = longest_first([*short, *crowded, *like_short, *long])

    assert ordered == [*long, *crowded, *short, *like_short]


@given(OBJECT_IDS, st.data())
def test_what_remains_is_what_is_not_finished_in_order(object_ids, data):
    shards = shards_of(object_ids, 1)
    finished = data.draw(st.sets(st.sampled_from([shard.id for shard in shards])))

    left = remaining(shards, finished)

    assert {shard.id for shard in left} == {shard.id for shard in shards} - finished
    assert left == sorted(left, key=shards.index)


def on(frame_index, object_id=1, **more):
    return Prompt(object_id, frame_index, box_xyxy=(0, 0, 4, 4), **more)


def fixed(frame_index, object_id=1):
    return on(frame_index, object_id, is_correction=True)


@pytest.mark.parametrize(
    ("prompts", "forward", "backward"),
    [
        pytest.param([on(5)], [on(5)], [on(5)], id="once each way"),
        pytest.param([on(0)], [on(0)], None, id="nothing is before the first frame"),
        pytest.param([on(5), on(0, 2)], [on(5), on(0, 2)], [on(5)], id="of one object"),
        pytest.param([on(5), on(9), on(0)], [on(5), on(9), on(0)], None, id="the first prompt counts"),
        pytest.param([on(5), fixed(3)], [on(5)], [on(5), fixed(3)], id="mended on the way back"),
        pytest.param([on(5), fixed(8)], [on(5), fixed(8)], [on(5)], id="mended on the way forward"),
        pytest.param([on(5), on(9), fixed(7)], [on(5), on(9), fixed(7)], [on(5), on(9)], id="between"),
        pytest.param([on(5, video_uri="b")], [on(5, video_uri="b")], None, id="known before the video"),
        pytest.param(
            [on(5, video_uri="b"), fixed(3)],
            [on(5, video_uri="b"), fixed(3)],
            None,
            id="mended forward, whatever frame of another video is known",
        ),
    ],
)
def test_each_pass_gets_the_prompts_that_decide_it(prompts, forward, backward):
    (shard,) = make_shards("cam", "cam.mp4", prompts, 10, None)
    passes = {shard.direction: list(shard.prompts) for shard in in_directions(shard, list(Direction))}
    assert passes.get(Direction.FORWARD) == forward
    assert passes.get(Direction.BACKWARD) == backward


def test_going_back_alone_an_object_prompted_on_the_first_frame_keeps_that_frame():
    (shard,) = make_shards("cam", "cam.mp4", [on(0), on(30, 2)], 100, None)
    (back,) = in_directions(shard, [Direction.BACKWARD])
    assert back.object_ids == (1, 2)


def test_the_way_back_is_as_long_as_it_is():
    (shard,) = make_shards("cam", "cam.mp4", [on(5), on(30, 2)], 100, None)
    assert [one.num_frames_hint for one in in_directions(shard, list(Direction))] == [100, 31]
