"""Prompts of a shard on their way to the engine."""

from collections.abc import Callable
from pathlib import Path

from pipeline.engine.features import FrameFeatures
from pipeline.engine.prompts import DensePrompt, PointPrompt, dense_prompt, point_prompt
from pipeline.engine.shared_engine import SharedEngine
from pipeline.engine.state import ConditioningFrame, VideoState
from pipeline.outputs.rle import decode_mask
from pipeline.records import Frame, Prompt, Shard
from pipeline.stages.key_frames import KeyFrames
from pipeline.stages.references import References, before_the_video
from pipeline.stages.segment_config import SegmentConfig
from pipeline.stages.shard_video import ShardVideo
from pipeline.stages.video_identity import reference_video


class Prompting:
    """Gives key frames, references and corrections to one engine."""

    def __init__(self, engine: SharedEngine, config: SegmentConfig):
        self._engine, self._config = engine, config
        self._references = References(self.look_at)

    def key_frames(self, shard: Shard, video: ShardVideo, state: VideoState) -> KeyFrames:
        """Return the key frames of a shard that the state does not know yet."""
        limit = self._config.tracking.max_conditioning_frames

        def give(frame: Frame, prompt: Prompt) -> None:
            state.condition(prompt.object_id, frame.index, self.look_at(frame, prompt))

        return KeyFrames(shard.prompts, state, limit, video.at, give)

    def give_references(
        self, shard: Shard, state: VideoState, open_video: Callable[[Path], ShardVideo]
    ) -> None:
        """Let a state know what other videos show of its objects."""
        known: dict[Prompt, ConditioningFrame] = {}
        for uri in dict.fromkeys(prompt.video_uri for prompt in shard.references if prompt.video_uri):
            with reference_video(shard, uri, self._config.source) as (source, path):
                prompts = [prompt for prompt in shard.references if prompt.video_uri == uri]
                known |= self._references.of_video(source, open_video(path), prompts)
        for frame_index, prompt in before_the_video(shard.references):
            state.condition(prompt.object_id, frame_index, known[prompt])

    def look_at(self, frame: Frame, prompt: Prompt) -> ConditioningFrame:
        """Return what a prompt leads to on its frame."""
        (features,) = self._engine.encode([frame])
        return self._engine.look_at(features, self._model_prompt(prompt, features))

    def correct(self, state: VideoState, prompt: Prompt, features: FrameFeatures) -> None:
        """Correct what is found of an object on its next frame."""
        self._engine.correct(state, prompt.object_id, features, self._model_prompt(prompt, features))

    def _model_prompt(self, prompt: Prompt, features: FrameFeatures) -> PointPrompt | DensePrompt:
        if prompt.mask is None:
            return point_prompt(prompt, features.video_size_hw, self._engine.image_size_px)
        return dense_prompt(decode_mask(prompt.mask), self._engine.image_size_px)
