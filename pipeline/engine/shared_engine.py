"""One engine for several videos at a time: what their threads ask for together is computed together.

Each video is followed by a thread of its own, as if it were alone; one thread computes. It takes whatever
has come in while it was busy (continuous batching), the videos that are furthest behind first, so that none
waits for long. A thread that waits for its answer decodes and encodes nothing further: that is the bound
on features in memory. A request that fails is answered with its error and harms no other.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine.engine import Engine, FrameOutput
from pipeline.engine.features import FrameFeatures
from pipeline.engine.prompts import DensePrompt, PointPrompt
from pipeline.engine.state import VideoState
from pipeline.records import Frame, FrameMasks


@dataclass(frozen=True, eq=False)
class _Request:
    """What one thread asks for: one or more items of a kind that is computed in batches."""

    kind: Callable[[list[Any]], list[Any]]  # a method of the engine, from items to as many answers
    items: list[Any]
    frame_index: int  # how far its video is
    answer: Future = field(default_factory=Future)


class SharedEngine:
    """The engine's own interface, for one video a call, from any thread."""

    def __init__(self, make_engine: Callable[[], Engine]):
        """Make the engine, in the thread that will compute.

        On a CPU a second thread that computes with several cores, if only once, makes OpenMP put the
        threads of both to sleep at every wait: small models then run at half their speed.
        """
        self._waiting: list[_Request] = []
        self._changed = threading.Condition()
        made: Future[Engine] = Future()
        threading.Thread(target=self._serve, args=(make_engine, made), name="engine", daemon=True).start()
        self.engine = made.result()
        self.image_size_px, self.device = self.engine.image_size_px, self.engine.device
        self.frames_at_once = self.engine.frames_at_once
        self.videos_in_flight = self.engine.videos_in_flight

    def encode(self, frames: Sequence[Frame]) -> list[FrameFeatures]:
        """Return the features of consecutive frames of a video."""
        return self._ask(self.engine.encode, list(frames), frames[0].index)

    def condition(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Make a frame a conditioning frame of an object."""

        def one_by_one(prompts: list[Any]) -> list[None]:
            return [self.engine.condition(*arguments) for arguments in prompts]

        self._ask(one_by_one, [(state, object_id, features, prompt)], features.frame_index)

    def step(self, state: VideoState, features: FrameFeatures) -> FrameOutput:
        """Find and remember a video's objects on its next frame."""
        return self._ask(self.engine.step, [(state, features)], features.frame_index)[0]

    def masks(self, output: FrameOutput) -> FrameMasks:
        """Return the masks at the video's own size; computed in the calling thread."""
        return self.engine.masks(output)

    def _ask(self, kind: Callable[[list[Any]], list[Any]], items: list[Any], frame_index: int) -> list[Any]:
        request = _Request(kind, items, frame_index)
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()
        return request.answer.result()

    def _serve(self, make_engine: Callable[[], Engine], made: Future) -> None:
        try:
            made.set_result(make_engine())
        except BaseException as error:  # the maker's to handle
            made.set_exception(error)
            return
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                batch = next_batch(self._waiting)
                self._waiting = [request for request in self._waiting if request not in batch]
            _answer(batch)


def next_batch(waiting: Sequence[_Request]) -> list[_Request]:
    """Return the request that is furthest behind, and all others of its kind."""
    first = min(waiting, key=lambda request: request.frame_index)
    alike = [request for request in waiting if request.kind == first.kind]
    return sorted(alike, key=lambda request: request.frame_index)


def _answer(batch: Sequence[_Request]) -> None:
    """Compute requests of one kind together; if that fails, each alone, to see whose fault it was."""
    try:
        answers = iter(batch[0].kind([item for request in batch for item in request.items]))
    except Exception as error:
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
        else:
            for request in batch:
                _answer([request])
    else:
        for request in batch:
            request.answer.set_result([next(answers) for _ in request.items])
