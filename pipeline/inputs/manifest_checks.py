"""What is wrong with a manifest's rows, alone and against each other. Pure functions."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.inputs.manifest_table import Fault, Row
from pipeline.inputs.mask_counts import run_lengths
from pipeline.inputs.probe import VideoFacts
from pipeline.records import Direction, Prompt, Rle, prompt_problems

INT32_MAX = 2**31 - 1
CORRECTION = "correction"
MAX_SHOWN = 10  # keyframes, in a fault


@dataclass(frozen=True)
class PromptRow:
    """A row and the prompt in it, right or wrong."""

    row: Row
    video_id: str
    video_uri: str  # absolute
    draft: "DraftPrompt"


class DraftPrompt(Prompt):
    """A prompt that may be wrong, so that all that is wrong can be listed."""

    def __post_init__(self):
        pass

    def checked(self) -> Prompt:
        """Return the prompt; ValueError if it is wrong after all."""
        return Prompt(**vars(self))


def parse_row(row: Row, resolve: Callable[[str], str]) -> tuple[PromptRow | None, list[Fault]]:
    """Return the row's prompt, if its values can be held by one, and what is wrong with the row alone."""
    faults = list(_value_faults(row))
    if faults:
        return None, faults
    video_uri = resolve(row.values["video_uri"])
    draft = DraftPrompt(**_prompt_fields(row.values), video_uri=_other_video(row, video_uri, resolve))
    faults = [row.fault(p.column, p.found, p.allowed) for p in prompt_problems(draft)]
    faults += _mask_faults(row, draft.mask)
    return PromptRow(row, row.values["video_id"], video_uri, draft), faults


def _other_video(row: Row, video_uri: str, resolve: Callable[[str], str]) -> str | None:
    """Return the other video that a row's prompt is on, if there is one."""
    named = row.values["prompt_video_uri"]
    return None if named is None or resolve(named) == video_uri else resolve(named)


def with_labels(rows: list[PromptRow]) -> list[PromptRow]:
    """Return the rows; those without a label have the first one that their object has elsewhere."""
    known: dict[Any, str | None] = {}
    for row in rows:
        if row.draft.label is not None:
            known.setdefault((row.video_id, row.draft.object_id), row.draft.label)
    return [
        row
        if row.draft.label is not None
        else replace(row, draft=replace(row.draft, label=known.get((row.video_id, row.draft.object_id))))
        for row in rows
    ]


def contradictions(rows: list[PromptRow], directions: Sequence[Direction]) -> Iterator[Fault]:
    """Yield what rows say against each other: duplicates, and two values where one belongs."""
    yield from _two_values(rows, "video_uri", lambda r: r.video_id, lambda r: r.video_uri)
    yield from _untracked(rows, directions)
    yield from _two_values(rows, "label", lambda r: (r.video_id, r.draft.object_id), lambda r: r.draft.label)
    first: dict[Any, Row] = {}
    for row in rows:
        p = row.draft
        key = (row.video_id, p.object_id, p.frame_index, p.time_seconds, p.video_uri)
        if key in first:
            yield row.row.fault(
                "object_id",
                f"a second prompt of video {row.video_id!r}, object {p.object_id}, {_moment(p)}",
                f"one; the first is {_place(first[key], row.row)}",
            )
        first.setdefault(key, row.row)


def _untracked(rows: list[PromptRow], directions: Sequence[Direction]) -> Iterator[Fault]:
    """Yield corrections on frames that no object is tracked to, and references that are of no use."""
    keyframes: dict[Any, list[Prompt]] = defaultdict(list)
    for row in rows:
        if not row.draft.is_correction:
            keyframes[row.video_id, row.draft.object_id].append(row.draft)
    for row in rows:
        known = keyframes[row.video_id, row.draft.object_id]
        if row.draft.is_correction and not any(is_tracked_to(row.draft, known, d) for d in directions):
            yield _untracked_correction(row, known, directions)
        if row.draft.video_uri is not None and Direction.FORWARD not in directions:
            yield row.row.fault("prompt_video_uri", "a value", "null where tracking.direction=backward")


def _untracked_correction(row: PromptRow, keyframes: list[Prompt], directions: Sequence[Direction]) -> Fault:
    shown = [*map(_moment, keyframes[:MAX_SHOWN]), *["..."] * (len(keyframes) > MAX_SHOWN)]
    moments = ", ".join(shown) or "none"
    side = " or ".join("an earlier" if d is Direction.FORWARD else "a later" for d in directions)
    direction = directions[0].value if len(directions) == 1 else "both"
    return row.row.fault(
        "kind",
        f"{CORRECTION!r} of object {row.draft.object_id} at {_moment(row.draft)}; its keyframes: {moments}",
        f"a keyframe of this object on {side} frame, where tracking.direction={direction}",
    )


def _moment(prompt: Prompt) -> str:
    return f"frame {prompt.frame_index}" if prompt.time_seconds is None else f"{prompt.time_seconds} s"


def is_tracked_to(correction: Prompt, keyframes: list[Prompt], direction: Direction) -> bool:
    """Say whether an object may be tracked to a correction; a frame and a time can't be compared here."""
    sides = [_side(correction, keyframe) for keyframe in keyframes]
    if direction is Direction.FORWARD:  # after the first of them
        return any(side is None or side > 0 for side in sides)
    return bool(sides) and all(side is None or side < 0 for side in sides)


def _side(correction: Prompt, keyframe: Prompt) -> float | None:
    """Return how far a correction is after a keyframe, None where that can't be told."""
    if keyframe.video_uri is not None:
        return 1
    for name in ("frame_index", "time_seconds"):
        ours, theirs = getattr(correction, name), getattr(keyframe, name)
        if ours is not None and theirs is not None:
            return ours - theirs
    return None


def too_many_objects(rows: list[PromptRow], most: int) -> Iterator[Fault]:
    """Yield the first row of each video that passes the limit on objects."""
    seen: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        objects = seen[row.video_id]
        if len(objects) == most and row.draft.object_id not in objects:
            yield row.row.fault(
                "object_id", f"more than {most} objects of a video", "check.max_objects of them"
            )
        objects.add(row.draft.object_id)


def misfits(row: PromptRow, facts: VideoFacts) -> Iterator[Fault]:
    """Yield what in a prompt does not fit the video that it is on."""
    height, width = facts.size_hw
    p, frame = row.draft, f"inside the frame, {width}x{height} pixels"
    for x, y in p.points_xy:
        if not (0 <= x < width and 0 <= y < height):
            yield row.row.fault("points_xy", f"point ({x:g}, {y:g})", frame)
    if p.box_xyxy is not None:
        x0, y0, x1, y1 = p.box_xyxy
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            yield row.row.fault("box_xyxy", list(p.box_xyxy), frame)
    if p.mask is not None and p.mask.size_hw != facts.size_hw:
        yield row.row.fault("mask_rle", f"size {list(p.mask.size_hw)}", f"the frame's, {[height, width]}")
    if p.frame_index is not None and p.frame_index >= facts.num_frames_hint:
        yield row.row.fault("frame_index", p.frame_index, f"0 to {facts.num_frames_hint - 1}")
    if p.time_seconds is not None and p.time_seconds >= facts.duration_seconds:
        yield row.row.fault("time_seconds", p.time_seconds, f"less than {facts.duration_seconds:.3f}")


def _value_faults(row: Row) -> Iterator[Fault]:
    """Yield nulls, lengths and ranges that the record's types cannot hold."""
    v = row.values
    for column in ("video_id", "video_uri", "object_id"):
        if v[column] is None or v[column] == "":
            yield row.fault(column, "null" if v[column] is None else "nothing", "a value")
    if (v["object_id"] or 0) > INT32_MAX:
        yield row.fault("object_id", v["object_id"], f"at most {INT32_MAX}")
    points, labels, box, mask = v["points_xy"], v["point_labels"], v["box_xyxy"], v["mask_rle"]
    if points is not None and not all(_numbers(point, 2) for point in points):
        yield row.fault("points_xy", points, "a list of [x, y]")
    if labels is not None and not _numbers(labels, len(labels)):
        yield row.fault("point_labels", labels, "a list of 1 and 0")
    if box is not None and not _numbers(box, 4):
        yield row.fault("box_xyxy", box, "[x0, y0, x1, y1]")
    if mask is not None and (not _numbers(mask["size"], 2) or mask["counts"] is None):
        yield row.fault("mask_rle", f"size {mask['size']}", "a size [height, width], and counts")
    if v["kind"] not in (None, "keyframe", CORRECTION):
        yield row.fault("kind", repr(v["kind"]), f"null, 'keyframe' or {CORRECTION!r}")
    if v["prompt_video_uri"] == "":
        yield row.fault("prompt_video_uri", "nothing", "another video, or null")


def _prompt_fields(v: dict[str, Any]) -> dict[str, Any]:
    return {
        "object_id": v["object_id"],
        "frame_index": v["frame_index"],
        "time_seconds": v["time_seconds"],
        "points_xy": tuple((float(x), float(y)) for x, y in v["points_xy"] or ()),
        "point_labels": tuple(v["point_labels"] or ()),
        "box_xyxy": None if v["box_xyxy"] is None else tuple(map(float, v["box_xyxy"])),
        "mask": None if v["mask_rle"] is None else _rle(**v["mask_rle"]),
        "label": v["label"],
        "is_correction": v["kind"] == CORRECTION,
    }


def _rle(size: list[int], counts: str | bytes) -> Rle:
    return Rle((size[0], size[1]), counts.encode() if isinstance(counts, str) else counts)


def _mask_faults(row: Row, mask: Rle | None) -> Iterator[Fault]:
    if mask is None:
        return
    height, width = mask.size_hw
    try:
        runs = run_lengths(mask.counts)
    except ValueError as error:
        yield row.fault("mask_rle", f"corrupt counts: {error}", "COCO compressed counts")
        return
    if sum(runs) != height * width:
        yield row.fault("mask_rle", f"counts of {sum(runs)} pixels", f"{height * width}, as its size says")
    elif not any(runs[1::2]):
        yield row.fault("mask_rle", "an empty mask", "at least one pixel on the object")


def _numbers(values: list[Any] | None, length: int) -> bool:
    return values is not None and len(values) == length and None not in values


def _two_values(rows: list[PromptRow], column: str, key: Callable, value: Callable) -> Iterator[Fault]:
    """Yield a fault for each row whose value differs from the first one under the same key."""
    seen: dict[Any, PromptRow] = {}
    for row in rows:
        first = seen.setdefault(key(row), row)
        if value(row) != value(first):
            yield row.row.fault(
                column, repr(value(row)), f"{value(first)!r}, as {_place(first.row, row.row)} says"
            )


def _place(row: Row, seen_from: Row) -> str:
    return f"row {row.row}" if row.file == seen_from.file else f"{row.file}, row {row.row}"


def by_video(rows: list[PromptRow]) -> dict[str, list[PromptRow]]:
    """Group rows by video id, in the order of the manifest."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.video_id].append(row)
    return dict(groups)


@dataclass(frozen=True)
class RowsOnVideo:
    """A video that prompts are on."""

    uri: str
    column: str  # that names it
    first: Row  # where it is named first
    prompts: list[PromptRow]


def on_own_video(rows: list[PromptRow]) -> RowsOnVideo:
    """Return what is on the video itself, of all rows of one video."""
    own = [row for row in rows if row.draft.video_uri is None]
    return RowsOnVideo(rows[0].video_uri, "video_uri", rows[0].row, own)


def on_other_videos(rows: list[PromptRow]) -> list[RowsOnVideo]:
    """Return what is on each of the videos that references are on."""
    groups: dict[str, list[PromptRow]] = defaultdict(list)
    for row in rows:
        if row.draft.video_uri is not None:
            groups[row.draft.video_uri].append(row)
    return [RowsOnVideo(uri, "prompt_video_uri", its[0].row, its) for uri, its in groups.items()]
