"""Prompts on frames of other videos: what they show of an object, for the video that it is sought in."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from threading import Lock

from pipeline.engine.state import ConditioningFrame
from pipeline.errors import PromptInvalid
from pipeline.records import Frame, Prompt
from pipeline.stages.prompted_frames import frame_of, placed
from pipeline.stages.shard_video import ShardVideo
from pipeline.storage.uris import shown

KEPT = 256  # about 1 MB each

LookAt = Callable[[Frame, Prompt], ConditioningFrame]


class References:
    """Computes what references lead to; keeps the last ones, since several videos may share them."""

    def __init__(self, look_at: LookAt):
        self._look_at = look_at
        self._known: OrderedDict[tuple[str, Prompt], ConditioningFrame] = OrderedDict()
        self._lock = Lock()

    def of_video(
        self, source: str, video: ShardVideo, prompts: Sequence[Prompt]
    ) -> dict[Prompt, ConditioningFrame]:
        """Return what prompts on one other video lead to.

        Args:
            source: Identity of that video: another file behind the same URI is another video.
            video: Opened only for what is not known yet.

        Raises:
            PromptInvalid: A prompt is past its end.
        """
        with self._lock:
            found = {p: self._known[source, p] for p in prompts if (source, p) in self._known}
        missing = [prompt for prompt in prompts if prompt not in found]
        if missing:
            found |= self._computed(video, missing)
        with self._lock:
            self._known.update({(source, prompt): frame for prompt, frame in found.items()})
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def _computed(self, video: ShardVideo, prompts: Sequence[Prompt]) -> dict[Prompt, ConditioningFrame]:
        with closing(video.times()) as times:
            with_frames, _ = placed(times, prompts, prompts[0].video_uri)
        waiting: dict[int, list[tuple[Prompt, Prompt]]] = defaultdict(list)
        for prompt, with_frame in zip(prompts, with_frames, strict=True):
            waiting[frame_of(with_frame)].append((prompt, with_frame))
        found = {}
        for frame in video.at(frozenset(waiting)):
            for prompt, with_frame in waiting.pop(frame.index):
                found[prompt] = self._look_at(frame, with_frame)
        for prompt, with_frame in (pair for pairs in waiting.values() for pair in pairs):
            raise PromptInvalid(
                f"object {prompt.object_id}: prompt on frame {with_frame.frame_index} of "
                f"{shown(prompt.video_uri or '')}, but that video ends before; the first frame is 0"
            )
        return found


def before_the_video(references: Sequence[Prompt]) -> list[tuple[int, Prompt]]:
    """Return references with the frame indices they are remembered at: each object's last one at -1.

    >>> before_the_video([])
    []
    """
    left: dict[int, int] = defaultdict(int)
    found = []
    for prompt in reversed(references):
        left[prompt.object_id] -= 1
        found.append((left[prompt.object_id], prompt))
    return found[::-1]
