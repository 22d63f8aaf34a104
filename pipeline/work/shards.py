"""Which shards there are: one a video, or one a group of its objects."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.records import Direction, Prompt, Shard
from pipeline.storage.names import path_name


def group_objects(object_ids: Iterable[int], objects_per_shard: int | None) -> list[tuple[int, ...]]:
    """Split the distinct object ids, in rising order, into groups; None puts all into one.

    >>> group_objects([7, 1, 3, 3], objects_per_shard=2)
    [(1, 3), (7,)]
    """
    if objects_per_shard is not None and objects_per_shard < 1:
        raise ValueError(f"objects_per_shard must be 1 or more, or null for all, got {objects_per_shard}")
    ids = sorted(set(object_ids))
    size = objects_per_shard or max(1, len(ids))
    return [tuple(ids[start : start + size]) for start in range(0, len(ids), size)]


def shard_id(video_id: str, group: tuple[int, ...], alone: bool) -> str:
    """Return the id of a group of objects: safe as a file name and unique in the run.

    Unique since the groups of a video do not overlap, and a path name has no `~`.

    Args:
        video_id: Any string.
        group: Object ids in rising order.
        alone: The group is the whole video.
    """
    name = path_name(video_id)
    return name if alone else f"{name}~objects-{group[0]}-{group[-1]}"


def make_shards(
    video_id: str,
    video_uri: str,
    prompts: Iterable[Prompt],
    num_frames_hint: int,
    objects_per_shard: int | None,
) -> list[Shard]:
    """Return the shards of one video; each prompt is in exactly one, in the order given."""
    prompts = tuple(prompts)
    groups = group_objects((prompt.object_id for prompt in prompts), objects_per_shard)
    return [
        Shard(
            id=shard_id(video_id, group, alone=len(groups) == 1),
            video_id=video_id,
            video_uri=video_uri,
            prompts=tuple(prompt for prompt in prompts if prompt.object_id in group),
            num_frames_hint=num_frames_hint,
        )
        for group in groups
    ]


def in_directions(shard: Shard, directions: Sequence[Direction]) -> list[Shard]:
    """Return a shard once a direction; none backwards for what is tracked from the first frame on.

    Corrections go with the pass that they mend. Of one by time and a key frame by frame, or the other way
    round, it can't be told here which is first: such a correction goes forward, if that is a direction.
    """
    passes = [_in_direction(shard, direction, len(directions) > 1) for direction in directions]
    return [one for one in passes if one is not None]


def _in_direction(shard: Shard, direction: Direction, is_one_of_two: bool) -> Shard | None:
    backward = direction is Direction.BACKWARD
    known_before = {p.object_id for p in shard.prompts if backward and is_one_of_two and _is_at_the_start(p)}
    prompts = [p for p in shard.prompts if p.object_id not in known_before]
    if is_one_of_two:
        prompts = [p for p in prompts if not p.is_correction or _mends_backward(p, prompts) == backward]
    if all(prompt.is_correction for prompt in prompts):
        return None
    if not backward:
        return replace(shard, prompts=tuple(prompts), direction=direction)
    starts = [prompt.frame_index for prompt in prompts if not prompt.is_correction]
    known = [frame_index for frame_index in starts if frame_index is not None]
    hint = 1 + max(known) if len(known) == len(starts) else shard.num_frames_hint
    return replace(
        shard,
        id=f"{shard.id}~backward",
        prompts=tuple(prompts),
        num_frames_hint=hint,
        direction=direction,
    )


def _is_at_the_start(prompt: Prompt) -> bool:
    """Say whether nothing of its object is before it."""
    place = prompt.frame_index if prompt.time_seconds is None else prompt.time_seconds
    return not prompt.is_correction and (place == 0 or prompt.video_uri is not None)


def _mends_backward(correction: Prompt, prompts: Iterable[Prompt]) -> bool:
    """Say whether a correction lies before all key frames of its object, those of other videos too."""
    keys = [p for p in prompts if p.object_id == correction.object_id and not p.is_correction]
    return all(key.video_uri is None and is_before(correction, key) for key in keys)


def is_before(one: Prompt, other: Prompt) -> bool:
    """Say whether a prompt is known to be on an earlier frame; a frame and a time can't be compared here."""
    for name in ("frame_index", "time_seconds"):
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours is not None and theirs is not None:
            return ours < theirs
    return False


def longest_first(shards: Iterable[Shard]) -> list[Shard]:
    """Order by falling cost, so that no long shard is left running alone at the end.

    Shards of equal cost stay in order.
    """
    return sorted(shards, key=lambda shard: -shard.cost)


def remaining(shards: Iterable[Shard], finished: set[str]) -> list[Shard]:
    """Return the shards whose ids are not finished, in order."""
    return [shard for shard in shards if shard.id not in finished]
