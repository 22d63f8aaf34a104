"""Visit the frames that carry prompts, before tracking starts.

Every frame looks at all conditioning frames, later ones included, so these come first. A video's
own frame count is not trusted: the little that the engine must know of it is counted here too.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol, TypeVar

from pipeline.engine.state import POINTER_SPAN_FRAMES
from pipeline.errors import PromptInvalid
from pipeline.records import Frame, Prompt


def visit_prompted_frames(
    frames: Iterable[Frame],
    prompts: Sequence[Prompt],
    visit: Callable[[Frame, list[Prompt]], None],
) -> int:
    """Call `visit` once for each frame that carries prompts, in order, with these by object id.

    Goes no further than the last prompt, or 16 frames, and holds one frame at a time. A time means
    the frame on show then: the last one that does not start later.

    Returns:
        The number of frames if there are fewer than 16, otherwise 16.

    Raises:
        PromptInvalid: A prompt is past the end, or two of one object fall on one frame.
    """
    by_frame: dict[int, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        if prompt.frame_index is not None:
            by_frame[prompt.frame_index].append(prompt)
    by_time = sorted((p.time_seconds, i) for i, p in enumerate(prompts) if p.time_seconds is not None)
    count = 0
    for frame, end_seconds in with_ends(frames):
        count = frame.index + 1
        due = by_frame.pop(frame.index, [])
        while by_time and by_time[0][0] < end_seconds:
            prompt = prompts[by_time.pop(0)[1]]
            due.append(replace(prompt, frame_index=frame.index, time_seconds=None))
        if due:
            visit(frame, _one_an_object(due))
        if not by_frame and not by_time and count >= POINTER_SPAN_FRAMES:
            break
    for prompt in (prompt for late in by_frame.values() for prompt in late):
        raise PromptInvalid(
            f"object {prompt.object_id}: prompt on frame {prompt.frame_index}, "
            f"but the video has {count} frames, the first is 0"
        )
    return min(count, POINTER_SPAN_FRAMES)


class Timed(Protocol):
    """A frame, or what was made of one."""

    @property
    def time_seconds(self) -> float: ...


Shown = TypeVar("Shown", bound=Timed)


def with_ends(frames: Iterable[Shown]) -> Iterator[tuple[Shown, float]]:
    """Yield each frame with the time at which the next one takes its place; the last one stays."""
    shown: Shown | None = None
    for frame in frames:
        if shown is not None:
            yield shown, frame.time_seconds
        shown = frame
    if shown is not None:
        yield shown, float("inf")


def _one_an_object(prompts: list[Prompt]) -> list[Prompt]:
    ordered = sorted(prompts, key=lambda prompt: prompt.object_id)
    for first, second in pairwise(ordered):
        if first.object_id == second.object_id:
            raise PromptInvalid(
                f"object {first.object_id}: two prompts on frame {first.frame_index}; "
                "give one, such as a box with points"
            )
    return ordered
