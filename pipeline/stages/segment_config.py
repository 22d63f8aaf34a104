"""Everything that one worker needs to know, and which of it decides the masks."""

from dataclasses import dataclass, field

from pipeline.engine.config import EngineConfig, TrackingConfig, refuse_capture_with_policy
from pipeline.inputs.frames import FramesConfig
from pipeline.inputs.source import SourceConfig
from pipeline.outputs.checkpoints import CheckpointConfig
from pipeline.stages.model import ModelConfig
from pipeline.stages.objects import IdentityConfig
from pipeline.storage.store import StorageConfig


@dataclass
class SegmentConfig:
    """What is asked of a worker."""

    model: ModelConfig = field(default_factory=ModelConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    smaller_model: ModelConfig | None = None  # for a shard that `model` has no memory for, even alone

    def __post_init__(self):
        refuse_capture_with_policy(self.engine, self.tracking)

    def affecting_masks(self) -> dict[str, object]:
        """Return the settings that decide the masks, by full name."""
        return {
            "model.architecture": self.model.architecture,
            "model.image_size_px": self.model.image_size_px,
            "engine.precision": self.engine.precision.value,
            "engine.max_hole_px": self.engine.max_hole_px,
            "engine.max_speck_px": self.engine.max_speck_px,
            "engine.memory_frames": self.engine.memory_frames,
            "engine.non_overlap": self.engine.non_overlap,
            "frames.max_width_px": self.frames.max_width_px,
            **self._tracking(),
        }

    def _tracking(self) -> dict[str, object]:
        """Return what differs from SAM 2's own way; a run without it has no such keys.

        The direction is each shard's own.
        """
        ours, default = self.tracking, TrackingConfig()
        idle = {"direction"} if ours.restart_at_cuts else {"direction", "cut_threshold"}
        return {
            f"tracking.{name}": getattr(value, "value", value)  # of an enum, as users write it
            for name, value in vars(ours).items()
            if name not in idle and value != getattr(default, name)
        }
