"""Which frame each prompt is on, before tracking starts.

A video's own frame count is not trusted: the little that the engine must know of it is counted here too.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from pipeline.engine.state import POINTER_SPAN_FRAMES
from pipeline.errors import PromptInvalid
from pipeline.records import Direction, Prompt


def placed(
    times_seconds: Iterable[float], prompts: Sequence[Prompt], video_uri: str | None = None
) -> tuple[list[Prompt], int]:
    """Return prompts with a frame for each time, and the number of the video's frames, 16 if there are more.

    Those on other videos than this one stay as they are. A time means the frame on show then: the last one
    that does not start later. Goes no further than the last time, or 16 frames.

    Args:
        times_seconds: When each frame of the video starts.
        video_uri: The video's, where it is another one than the prompts are for.
    """
    own = [i for i, prompt in enumerate(prompts) if prompt.video_uri == video_uri]
    by_time = sorted((time, i) for i in own if (time := prompts[i].time_seconds) is not None)
    found, count = list(prompts), 0
    for frame_index, end_seconds in enumerate(_ends(times_seconds)):
        count = frame_index + 1
        while by_time and by_time[0][0] < end_seconds:
            _, i = by_time.pop(0)
            found[i] = replace(prompts[i], frame_index=frame_index, time_seconds=None)
        if not by_time and count >= POINTER_SPAN_FRAMES:
            break
    return found, min(count, POINTER_SPAN_FRAMES)


def first_frames(prompts: Iterable[Prompt]) -> dict[int, int]:
    """Return by object id the frame that it is tracked from, of prompts that all have a frame.

    What another video shows of an object is known before the first frame.
    """
    frames: dict[int, int] = {}
    for prompt in prompts:
        if not prompt.is_correction:
            frame_index = 0 if prompt.video_uri is not None else frame_of(prompt)
            frames[prompt.object_id] = min(frame_index, frames.get(prompt.object_id, frame_index))
    return frames


def frame_of(prompt: Prompt) -> int:
    """Return the frame of a prompt that has one."""
    if prompt.frame_index is None:
        raise ValueError(
            f"prompt of object {prompt.object_id}: expected a frame, got {prompt.time_seconds} s"
        )
    return prompt.frame_index


def refuse_clashes(prompts: Sequence[Prompt], direction: Direction) -> None:
    """Raise PromptInvalid for two prompts of an object on a frame, or a correction where it is not tracked.

    Args:
        prompts: Of one pass, all with a frame.
    """
    own: dict[int, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        if prompt.video_uri is None:
            own[prompt.object_id].append(prompt)
    starts = first_frames(prompts)
    for object_id, its_prompts in own.items():
        for prompt in its_prompts:
            if prompt.is_correction:
                _refuse_untracked(prompt, starts.get(object_id), direction)
        for one, other in pairwise(sorted(its_prompts, key=frame_of)):
            if one.frame_index == other.frame_index:
                raise PromptInvalid(
                    f"object {object_id}: two prompts on frame {one.frame_index}; give one, "
                    "such as a box with points"
                )


def _refuse_untracked(correction: Prompt, start: int | None, direction: Direction) -> None:
    if start is None or direction.step * (frame_of(correction) - start) < 0:
        side = "before" if direction is Direction.FORWARD else "after"
        raise PromptInvalid(
            f"object {correction.object_id}: correction on frame {correction.frame_index}, {side} its first "
            "keyframe, where it is not tracked"
        )


def _ends(times_seconds: Iterable[float]) -> Iterator[float]:
    """Yield when each frame is replaced by the next one; the last one stays."""
    times = iter(times_seconds)
    if next(times, None) is None:
        return
    yield from times
    yield float("inf")
