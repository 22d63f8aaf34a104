"""Our engine as a system of the comparison: all videos at once, frame by frame."""

from collections.abc import Iterator, Sequence

from benchmarks.settings import Setting
from benchmarks.ticks import Tick
from benchmarks.workload import Clip
from pipeline.engine.engine import DeviceChoice, Engine, EngineConfig, Precision
from pipeline.engine.prompts import point_prompt
from pipeline.engine.sam2_model import build_model
from pipeline.engine.state import POINTER_SPAN_FRAMES, VideoState
from pipeline.inputs.weights import read_weights


def engine_config(setting: Setting) -> EngineConfig:
    """Return the engine's settings; holes are not filled, since the peers do not fill them either."""
    return EngineConfig(
        device=DeviceChoice(setting.device), precision=Precision(setting.precision.value), max_hole_px=0
    )


class Ours:
    """The engine with its model in place."""

    def __init__(self, setting: Setting, architecture: str):
        model = build_model(architecture, read_weights(setting.weights), setting.image_size)
        self.engine = Engine(model, engine_config(setting))

    def ticks(self, clips: Sequence[Clip]) -> Iterator[Tick]:
        states = [self._begin(clip) for clip in clips]
        ahead = max(1, self.engine.frames_at_once // len(clips))
        frame_indices = range(len(clips[0].frames))
        for first in frame_indices[::ahead]:
            soon = frame_indices[first : first + ahead]
            features = self.engine.encode([clip.frames[t] for t in soon for clip in clips])
            for place, t in enumerate(soon):
                of_tick = features[place * len(clips) : (place + 1) * len(clips)]
                outputs = self.engine.step(list(zip(states, of_tick, strict=True)))
                yield Tick(t, {video: self.engine.masks(out).masks for video, out in enumerate(outputs)})

    def _begin(self, clip: Clip) -> VideoState:
        state = VideoState(num_frames=min(len(clip.frames), POINTER_SPAN_FRAMES))
        features = self.engine.encode(clip.frames[:1])[0]
        for prompt in clip.prompts:
            model_prompt = point_prompt(prompt, clip.video_size_hw, self.engine.image_size_px)
            self.engine.condition(state, prompt.object_id, features, model_prompt)
        return state
