"""One engine for several videos at a time: what their threads ask for together is computed together.

Each video is followed by a thread of its own, as if it were alone; teams compute. A team that is free takes
its share of what waits (continuous batching), in the order of its coming, so that none waits for long. On a
CPU two teams halve the cores between them: one encodes the next frame while the other tracks this one, or
each tracks half of the objects. That leaves no core waiting for another in small operations.

A thread that waits for its answer decodes nothing further: that is the bound on features in memory. A
request that fails is answered with its error and harms no other.
"""

import atexit
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any

import torch

from pipeline.engine.cpu_tuning import tune_thread, use_threads
from pipeline.engine.engine import Engine
from pipeline.engine.features import FrameFeatures
from pipeline.engine.frame_step import FrameOutput, FrameStep
from pipeline.engine.prompts import DensePrompt, PointPrompt
from pipeline.engine.relief import Relief
from pipeline.engine.requests import Request, answer, next_batch, shares
from pipeline.engine.state import ConditioningFrame, VideoState
from pipeline.records import Frame, FrameMasks

BATCHES_AHEAD = 2  # of frames, that are encoded while an earlier one is tracked


class SharedEngine:
    """The engine's own interface, for one video a call, from any thread."""

    def __init__(self, make_engine: Callable[[], Engine], cores: int | None = None):
        """Make the engine, in a thread that will compute.

        Args:
            make_engine: Called once.
            cores: To compute with; as many as this thread may use by default.

        On a CPU any other thread that computes with several cores, if only once, makes OpenMP put the
        threads of all to sleep at every wait: small models then run at half their speed.
        """
        self.relief = Relief(self._keep_on_host)
        self._waiting: list[Request] = []
        self._changed = threading.Condition()
        self._idle_teams, self._closed = 0, False
        self._team_threads: list[threading.Thread] = []
        atexit.register(self.close)
        self._cores = cores or torch.get_num_threads()
        try:
            self.engine = self._start_team(make_engine).result()
        except BaseException:
            atexit.unregister(self.close)
            raise
        self.image_size_px, self.device = self.engine.image_size_px, self.engine.device
        self.videos_in_flight = self.engine.videos_in_flight
        self.teams = self.engine.teams(self._cores)
        for _ in range(self.teams - 1):
            self._start_team(lambda: self.engine).result()

    def encode(self, frames: Iterable[Frame]) -> Iterator[FrameFeatures]:
        """Yield the features of a video's frames; those of the next ones are computed meanwhile."""
        frames, video = iter(frames), object()
        ahead: deque[Future[list[FrameFeatures]]] = deque()
        while together := list(islice(frames, self._frames_at_once)):
            request = Request(self.engine.encode, together, video, self._frames_at_once)
            ahead.append(self._ask(request))
            while len(ahead) > (0 if self.relief.on_host else BATCHES_AHEAD):
                yield from ahead.popleft().result()
        for features in ahead:
            yield from features.result()

    def condition(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Make a frame a conditioning frame of an object."""
        state.condition(object_id, features.frame_index, self.look_at(features, prompt))

    def look_at(self, features: FrameFeatures, prompt: PointPrompt | DensePrompt) -> ConditioningFrame:
        """Return what a prompt leads to on its frame."""
        return self._ask_one(self.engine.look_at, features, prompt)

    def correct(
        self, state: VideoState, object_id: int, features: FrameFeatures, prompt: PointPrompt | DensePrompt
    ) -> None:
        """Correct what is found of an object on its next frame, just before its step."""
        self._ask_one(self.engine.correct, state, object_id, features, prompt)

    def step(self, state: VideoState, features: FrameFeatures) -> FrameOutput:
        """Find and remember a video's objects on its next frame."""
        step = FrameStep.begin(state, features)
        at_once = self.relief.limited("track", self.engine.config.lanes_at_once)
        answers = [
            self._ask(Request(self.engine.track, lanes, state, at_once))
            for lanes in shares(step.lanes, self.teams)
        ]
        found = [one for answer in answers for one in answer.result()]
        return step.finish(found, self.engine.tracking.max_conditioning_frames)

    def masks(self, output: FrameOutput) -> FrameMasks:
        """Return the masks at the video's own size; computed in the calling thread."""
        return self.engine.masks(output)

    def close(self) -> None:
        """Let the teams finish what they are at, and end; what waits is cancelled.

        Python calls this before it exits: a thread that still computes then would abort the process.
        """
        with self._changed:
            self._closed = True
            for request in self._waiting:
                request.answer.cancel()
            self._changed.notify_all()
        for team in self._team_threads:
            team.join()
        atexit.unregister(self.close)

    @property
    def _frames_at_once(self) -> int:
        return self.relief.limited("encode", self.engine.frames_at_once)

    def _ask_one(self, compute: Callable[..., Any], *arguments: Any) -> Any:
        def one_by_one(calls: list[Any]) -> list[Any]:
            return [compute(*call) for call in calls]

        (found,) = self._ask(Request(one_by_one, [arguments], object())).result()
        return found

    def _keep_on_host(self) -> None:
        self.engine.state_device = torch.device("cpu")

    def _ask(self, request: Request) -> Future:
        with self._changed:
            if self._closed:
                request.answer.cancel()
            else:
                self._waiting.append(request)
                self._changed.notify()
        return request.answer

    def _start_team(self, make_engine: Callable[[], Engine]) -> Future[Engine]:
        made: Future[Engine] = Future()
        team = threading.Thread(target=self._serve, args=(make_engine, made), name="engine", daemon=True)
        self._team_threads.append(team)
        team.start()
        return made

    def _serve(self, make_engine: Callable[[], Engine], made: Future) -> None:
        tune_thread()
        try:
            engine = make_engine()
        except BaseException as error:  # the maker's to handle
            made.set_exception(error)
            return
        use_threads(self._cores // engine.teams(self._cores))
        made.set_result(engine)
        while batch := self._take():
            answer(batch, self.relief.compute)

    def _take(self) -> list[Request]:
        """Wait for work; take a share of it, or nothing once the engine is closed."""
        with self._changed:
            self._idle_teams += 1
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            batch = next_batch(self._waiting, self._idle_teams)
            self._idle_teams -= 1
            self._waiting = [request for request in self._waiting if request not in batch]
        return batch
