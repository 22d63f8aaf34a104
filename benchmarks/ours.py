"""Our engine as a system of the comparison: all videos at once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from benchmarks.settings import Setting
from benchmarks.ticks import Tick
from benchmarks.workload import Clip
from pipeline.engine.config import DeviceChoice, EngineConfig, Precision
from pipeline.engine.cpu_tuning import use_one_thread
from pipeline.engine.engine import Engine
from pipeline.engine.prompts import point_prompt
from pipeline.engine.sam2_model import build_model
from pipeline.engine.shared_engine import SharedEngine
from pipeline.engine.state import POINTER_SPAN_FRAMES, VideoState
from pipeline.inputs.weights import read_weights


def engine_config(setting: Setting) -> EngineConfig:
    """Return the engine's settings; holes are not filled, since the peers do not fill them either."""
    return EngineConfig(
        device=DeviceChoice(setting.device), precision=Precision(setting.precision.value), max_hole_px=0
    )


def make_engine(setting: Setting, architecture: str) -> Engine:
    model = build_model(architecture, read_weights(setting.weights), setting.image_size)
    return Engine(model, engine_config(setting))


def begin(engine: Engine | SharedEngine, clip: Clip) -> VideoState:
    """Give the engine a clip's prompts, all on its first frame."""
    state = VideoState(num_frames=min(len(clip.frames), POINTER_SPAN_FRAMES))
    (features,) = engine.encode(clip.frames[:1])
    for prompt in clip.prompts:
        model_prompt = point_prompt(prompt, clip.video_size_hw, engine.image_size_px)
        engine.condition(state, prompt.object_id, features, model_prompt)
    return state


class Ours:
    """The engine with its model in place, as the worker's stage uses it."""

    def __init__(self, setting: Setting, architecture: str):
        self.engine = SharedEngine(partial(make_engine, setting, architecture))

    def ticks(self, clips: Sequence[Clip]) -> Iterator[Tick]:
        """Track all videos side by side, a thread each, and wait for all at each frame."""
        states = [begin(self.engine, clip) for clip in clips]
        features = [self.engine.encode(clip.frames) for clip in clips]

        def step(video: int) -> np.ndarray:
            output = self.engine.step(states[video], next(features[video]))
            return self.engine.engine.video_masks(output).cpu().numpy()

        with ThreadPoolExecutor(len(clips), initializer=use_one_thread) as threads:
            for t in range(len(clips[0].frames)):
                yield Tick(t, dict(enumerate(threads.map(step, range(len(clips))))))


class OursInTurn:
    """The engine, one frame and one part of the network after the other; in `Ours` they overlap."""

    def __init__(self, setting: Setting, architecture: str):
        self.engine = make_engine(setting, architecture)

    def ticks(self, clips: Sequence[Clip]) -> Iterator[Tick]:
        """Track one video."""
        (clip,) = clips
        state = begin(self.engine, clip)
        for t, frame in enumerate(clip.frames):
            (output,) = self.engine.step([(state, self.engine.encode([frame])[0])])
            yield Tick(t, {0: self.engine.video_masks(output).cpu().numpy()})
