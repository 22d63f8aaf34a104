"""One measured setting of the comparison, and how it travels to the process that measures it."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path


class System(str, Enum):
    """What is measured."""

    ours = "ours"  # the engine alone
    ours_file = "ours-file"  # from the video file to the published Parquet table
    official = "official"  # SAM2VideoPredictor
    official_compiled = "official-compiled"  # SAM2VideoPredictorVOS, as `vos_optimized=True` builds it
    transformers = "transformers"  # Sam2VideoModel


class Precision(str, Enum):
    """What a system computes in; how it comes to bf16 is the system's own best way."""

    fp32 = "fp32"
    bf16 = "bf16"  # ours and transformers: bf16 weights; official: autocast


OURS = (System.ours, System.ours_file)
RANDOM_WEIGHTS = "random-weights"  # in the name of a file
ENCODED_AT_ONCE = 8  # frames, by our engine: of one video, or of several


@dataclass(frozen=True)
class Setting:
    """All that decides one row of the table."""

    system: System
    precision: Precision
    model: str  # a file of conf/model/, without its suffix
    image_size: int  # side of the square that the model sees, px
    objects: int  # in each video
    videos: int
    frames: int  # of each video
    warmup: int  # first frames of each video, which are not timed: the memory bank fills up
    device: str  # cpu or cuda
    weights: Path  # trained, or random if its name says so

    def __post_init__(self):
        if self.objects < 1 or self.videos < 1:
            raise ValueError(f"objects and videos must be 1 or more, got {self.objects} and {self.videos}")
        if not 0 < self.warmup < self.frames or self.warmup % ENCODED_AT_ONCE:
            raise ValueError(
                f"warmup must be a multiple of {ENCODED_AT_ONCE}, since so many frames are encoded at once, "
                f"and less than the {self.frames} frames, got {self.warmup}"
            )

    @property
    def scenario(self) -> tuple[str, int, int, int]:
        """What rows have in common that can be compared with each other."""
        return self.model, self.image_size, self.objects, self.videos

    @property
    def trained(self) -> bool:
        return RANDOM_WEIGHTS not in self.weights.name

    def to_arguments(self) -> list[str]:
        """Return this setting as a command line that `setting_of` reads."""
        values = [(_option(field.name), getattr(self, field.name)) for field in fields(self)]
        return [part for name, value in values for part in (name, _text(value))]


def add_setting(parser: ArgumentParser) -> None:
    """Add one required option a field of `Setting`."""
    types = {"system": System, "precision": Precision, "model": str, "device": str, "weights": Path}
    for field in fields(Setting):
        parser.add_argument(_option(field.name), type=types.get(field.name, int), required=True)


def setting_of(options: Namespace) -> Setting:
    return Setting(**{field.name: getattr(options, field.name) for field in fields(Setting)})


def variants(
    systems: Sequence[System], precisions: Sequence[Precision], device: str
) -> list[tuple[System, Precision]]:
    """Return the systems and precisions that make sense together on a device, the reference first.

    Compiling is for bf16 on CUDA alone: there `vos_optimized` is made for, elsewhere it takes minutes.
    """
    sensible = [
        (system, precision)
        for system in systems
        for precision in precisions
        if system is not System.official_compiled or (device, precision) == ("cuda", Precision.bf16)
    ]
    return sorted(sensible, key=lambda pair: pair != REFERENCE)


REFERENCE = (System.official, Precision.fp32)  # whose masks the others' are compared with


def _text(value: object) -> str:
    return value.value if isinstance(value, Enum) else str(value)


def _option(field_name: str) -> str:
    return "--" + field_name.replace("_", "-")
