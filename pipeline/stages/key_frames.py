"""Key frames, given to the engine in time: before any frame that looks at them is tracked."""

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence

from pipeline.engine.state import VideoState
from pipeline.errors import PromptInvalid
from pipeline.records import Direction, Frame, Prompt
from pipeline.stages.prompted_frames import first_frames, frame_of


class KeyFrames:
    """Those of a shard that the engine has not been given yet.

    SAM 2 looks at all key frames from every frame, later ones included, so all are given before the first
    step. With a limit a frame looks at the closest ones: then they are given as tracking comes near, so that
    neither memory nor the time to the first mask grows with the number of prompts.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        state: VideoState,
        limit: int | None,
        frames: Callable[[frozenset[int]], Generator[Frame, None, None]],
        give: Callable[[Frame, Prompt], None],
    ):
        """Take all key frames of a shard; of a state that is gone on from, those it knows are left out.

        Args:
            prompts: All of the shard's, each with a frame.
            limit: How many conditioning frames a frame looks at; None: all.
            frames: Opens the video at some frames.
            give: Gives one to the engine.
        """
        self._state, self._give = state, give
        self._limit = limit if state.direction is Direction.FORWARD else None
        self._first_frames = first_frames(prompts)
        self._waiting: dict[int, list[Prompt]] = defaultdict(list)
        own = [p for p in prompts if not p.is_correction and p.video_uri is None]
        for prompt in sorted(_looked_at(own, state.direction, limit), key=lambda p: p.object_id):
            if not _is_known(prompt, state):
                self._waiting[frame_of(prompt)].append(prompt)
        self._left = Counter(prompt.object_id for waiting in self._waiting.values() for prompt in waiting)
        self._frames = frames(frozenset(self._waiting)) if self._waiting else None

    def prepare(self) -> None:
        """Give those that the next frame looks at.

        Raises:
            PromptInvalid: One is past the end of the video.
        """
        while self._frames is not None and self._is_one_wanted():
            frame = next(self._frames, None)
            if frame is None:
                self.refuse_missed()
            else:
                for prompt in self._waiting.pop(frame.index):
                    self._give(frame, prompt)
                    self._left[prompt.object_id] -= 1

    def close(self) -> None:
        """Stop reading the video."""
        if self._frames is not None:
            self._frames.close()

    def _is_one_wanted(self) -> bool:
        if self._limit is None:
            return bool(self._waiting)
        return any(
            self._first_frames[object_id] <= self._state.next_frame
            and _known_ahead(self._state, object_id) < self._limit
            for object_id, left in self._left.items()
            if left
        )

    def refuse_missed(self) -> None:
        """Raise PromptInvalid if one was on none of the frames."""
        for prompt in (prompt for prompts in self._waiting.values() for prompt in prompts):
            raise PromptInvalid(
                f"object {prompt.object_id}: prompt on frame {prompt.frame_index}, "
                "but the video ends before; the first frame is 0"
            )


def _looked_at(prompts: Sequence[Prompt], direction: Direction, limit: int | None) -> list[Prompt]:
    """Return the key frames that any frame looks at: backwards, all are ahead, and the first ones closest."""
    if limit is None or direction is Direction.FORWARD:
        return list(prompts)
    by_object: dict[int, list[Prompt]] = defaultdict(list)
    for prompt in sorted(prompts, key=frame_of):
        by_object[prompt.object_id].append(prompt)
    return [prompt for of_one in by_object.values() for prompt in of_one[: limit + 1]]


def _is_known(prompt: Prompt, state: VideoState) -> bool:
    """Say whether a state has been given a key frame: it may have forgotten those that lie behind."""
    bank = state.objects.get(prompt.object_id)
    if bank is None:
        return False
    return frame_of(prompt) in bank.conditioning or frame_of(prompt) < state.next_frame


def _known_ahead(state: VideoState, object_id: int) -> int:
    """Return how many conditioning frames of an object the state has from the next frame on."""
    bank = state.objects.get(object_id)
    return 0 if bank is None else sum(t >= state.next_frame for t in bank.conditioning)
