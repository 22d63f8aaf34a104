"""The video of a shard, as its pass over the frames wants it."""

from collections.abc import Callable, Collection, Generator
from contextlib import closing
from pathlib import Path

from pipeline.engine.state import VideoState
from pipeline.inputs.backward import backward
from pipeline.inputs.cuts import mark_cuts
from pipeline.inputs.frames import frame_times, noted, open_frames, read_ahead
from pipeline.inputs.resize import to_model_input
from pipeline.records import Direction, Frame
from pipeline.stages.segment_config import SegmentConfig


class ShardVideo:
    """Frames of one video, at the model's input size."""

    def __init__(self, path: Path, config: SegmentConfig, side_px: int, on_frame: Callable[[], None]):
        """Open nothing yet.

        Args:
            path: On this machine.
            on_frame: Called for each frame that is decoded and not yielded, or that prompts are on.
        """
        self._path, self._config, self._side_px, self._on_frame = path, config, side_px, on_frame

    def times(self) -> Generator[float, None, None]:
        """Yield when each frame starts, in seconds."""
        with closing(frame_times(self._path, self._config.frames)) as times:
            for seconds in times:
                self._on_frame()
                yield seconds

    def at(self, indices: Collection[int]) -> Generator[Frame, None, None]:
        """Yield some frames, in order."""
        return noted(self._forward(min(indices), indices), self._on_frame)

    def passed_over(self, state: VideoState) -> Generator[Frame, None, None]:
        """Yield the frames from a state's next one on, decoded ahead of their use."""
        frames = self._forward if state.direction is Direction.FORWARD else self._backward
        tracking, before = self._config.tracking, None
        if tracking.restart_at_cuts and state.frames_done:
            before = state.next_frame - state.direction.step
        passed = frames(state.next_frame if before is None else before)
        if tracking.restart_at_cuts:
            passed = mark_cuts(passed, tracking.cut_threshold, before)
        return read_ahead(passed, self._config.frames.queue_bytes)

    def _forward(self, start: int, only: Collection[int] | None = None) -> Generator[Frame, None, None]:
        with closing(open_frames(self._path, self._config.frames, start, self._on_frame, only)) as frames:
            for frame in frames:
                yield to_model_input(frame, self._side_px)

    def _backward(self, last: int) -> Generator[Frame, None, None]:
        config = self._config
        return backward(self._set_aside, last, config.frames.backward_bytes, config.source.cache_dir)

    def _set_aside(self, start: int) -> Generator[Frame, None, None]:
        """Yield frames that wait on disk: a stretch of them takes longer than a worker may be silent."""
        return noted(self._forward(start), self._on_frame)
