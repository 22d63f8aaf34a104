"""Prompts that correct what was tracked, each due on its frame."""

from collections.abc import Sequence

from pipeline.engine.state import ObjectState
from pipeline.errors import PromptInvalid
from pipeline.records import Prompt


class Corrections:
    """Those of a shard that are still to come."""

    def __init__(self, prompts: Sequence[Prompt], next_frame: int, is_resumed: bool):
        """Take all of a shard's corrections.

        Args:
            next_frame: Where tracking goes on.
            is_resumed: Corrections of earlier frames are part of the state that it goes on from.
        """
        waiting = [p for p in prompts if not (is_resumed and (p.frame_index or next_frame) < next_frame)]
        self._waiting, self._is_resumed = waiting, is_resumed

    def due(self, frame_index: int, start_seconds: float, end_seconds: float) -> list[Prompt]:
        """Return the corrections of a frame that is on show from start to end; called for each in turn."""
        if self._is_resumed:  # those of a time before this were made by an earlier attempt
            self._waiting = [p for p in self._waiting if (p.time_seconds or start_seconds) >= start_seconds]
            self._is_resumed = False
        due = [p for p in self._waiting if _is_reached(p, frame_index, end_seconds)]
        self._waiting = [p for p in self._waiting if p not in due]
        return sorted(due, key=lambda prompt: prompt.object_id)

    def refuse_missed(self, num_frames: int) -> None:
        """Raise PromptInvalid if a correction was on none of the frames."""
        for prompt in self._waiting:
            raise PromptInvalid(
                f"object {prompt.object_id}: correction on frame {prompt.frame_index}, "
                f"but the video has {num_frames} frames, the first is 0"
            )


def refuse_untracked(prompt: Prompt, bank: ObjectState | None, frame_index: int) -> None:
    """Raise PromptInvalid unless the object was tracked to this frame."""
    if bank is None or bank.first_frame > frame_index:
        raise PromptInvalid(
            f"object {prompt.object_id}: correction on frame {frame_index}, before its first keyframe"
        )
    if frame_index in bank.conditioning:
        raise PromptInvalid(
            f"object {prompt.object_id}: two prompts on frame {frame_index}; give one, such as a keyframe "
            "with all points"
        )


def _is_reached(prompt: Prompt, frame_index: int, end_seconds: float) -> bool:
    if prompt.frame_index is not None:
        return prompt.frame_index <= frame_index
    return prompt.time_seconds is not None and prompt.time_seconds < end_seconds
