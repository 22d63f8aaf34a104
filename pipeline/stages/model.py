"""Which model, and where its weights are."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.inputs.weights import AUTO, default_cache, weights_file
from pipeline.storage.files import sha256_of


@dataclass
class ModelConfig:
    """Which SAM 2 model, and which weights."""

    name: str = "nano"
    architecture: str = "nano"  # nano, or a config of the sam2 package
    official_weights: str = "nano/sam2_nano.safetensors"  # where `weights: auto` leads
    weights: str = AUTO  # auto, a path, or a URI
    image_size_px: int | None = None  # side of the square that the model sees; None: its own
    cache_dir: str | None = None  # of fetched weights; None: ~/.cache/sam2-batch/weights

    def __post_init__(self):
        if self.image_size_px is not None and (self.image_size_px < 64 or self.image_size_px % 32):
            raise ValueError(
                f"model.image_size_px must be a multiple of 32 from 64, got {self.image_size_px}"
            )

    @property
    def cache(self) -> Path:
        return Path(self.cache_dir).expanduser() if self.cache_dir else default_cache()


def find_weights(config: ModelConfig) -> tuple[Path, str]:
    """Return the local weights file and its SHA-256, fetching the file where need be."""
    path = weights_file(config.weights, config.official_weights, config.cache)
    return path, sha256_of(path)
