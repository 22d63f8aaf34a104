"""Prompts that correct what was tracked, each due on its frame."""

from collections import defaultdict
from collections.abc import Sequence

from pipeline.engine.state import VideoState
from pipeline.errors import PromptInvalid
from pipeline.records import Prompt
from pipeline.stages.prompted_frames import frame_of


class Corrections:
    """Those of a shard that are still to come."""

    def __init__(self, prompts: Sequence[Prompt], state: VideoState):
        """Take all of a shard's corrections, each with a frame; those behind are part of the state."""
        self._waiting: dict[int, list[Prompt]] = defaultdict(list)
        for prompt in sorted(prompts, key=lambda prompt: prompt.object_id):
            if state.direction.step * (frame_of(prompt) - state.next_frame) >= 0:
                self._waiting[frame_of(prompt)].append(prompt)

    def due(self, frame_index: int) -> list[Prompt]:
        """Return the corrections of a frame, by object id."""
        return self._waiting.pop(frame_index, [])

    def refuse_missed(self, num_frames: int) -> None:
        """Raise PromptInvalid if a correction was on none of the frames."""
        for prompt in (prompt for prompts in self._waiting.values() for prompt in prompts):
            raise PromptInvalid(
                f"object {prompt.object_id}: correction on frame {prompt.frame_index}, "
                f"but the video has {num_frames} frames, the first is 0"
            )
