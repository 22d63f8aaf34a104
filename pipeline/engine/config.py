"""Where and how precisely the engine computes."""

from dataclasses import dataclass
from enum import Enum

import torch

from pipeline.engine.state import MEMORY_SPAN_FRAMES
from pipeline.errors import UsageError
from pipeline.records import Direction


class Precision(str, Enum):  # in small letters, since that is what users write: OmegaConf goes by name
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


DTYPE = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}


class DeviceChoice(str, Enum):
    auto = "auto"
    cuda = "cuda"
    cpu = "cpu"
    mps = "mps"


@dataclass
class EngineConfig:
    """Where and how precisely the engine computes, and what is done to its masks."""

    device: DeviceChoice = DeviceChoice.auto
    precision: Precision = Precision.bf16
    max_hole_px: int = 8  # holes up to this are filled, counted at a quarter of the model's input size
    max_speck_px: int = 0  # specks up to this are removed, counted likewise
    memory_frames: int = MEMORY_SPAN_FRAMES  # last frames looked back at; fewer is faster, masks change
    non_overlap: bool = False  # give each pixel to the object that is surest of it
    videos_in_flight: int | None = None  # that one worker follows at a time; None: 1 on a CPU, else 8
    frames_at_once: int | None = None  # that are encoded together; None: 1 on a CPU, else 8
    lanes_at_once: int = 16  # objects, of any videos, that are tracked together
    teams: int | None = None  # that share a CPU's cores and compute side by side; None: 2
    capture: bool = False  # CUDA alone: launch the network as captured graphs
    compile: bool = False  # with capture: compile the network first, which takes minutes once

    def __post_init__(self):
        for name in ("videos_in_flight", "frames_at_once", "lanes_at_once", "teams"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"engine.{name} must be 1 or more, got {value}")
        if self.capture and self.device in (DeviceChoice.cpu, DeviceChoice.mps):
            raise ValueError(f"engine.capture=true needs engine.device=cuda, got {self.device.value}")
        if self.compile and not self.capture:
            raise ValueError("engine.compile=true needs engine.capture=true, got engine.capture=false")
        if not 1 <= self.memory_frames <= MEMORY_SPAN_FRAMES:
            raise ValueError(
                f"engine.memory_frames must be 1 to {MEMORY_SPAN_FRAMES}, got {self.memory_frames}"
            )
        if self.max_hole_px < 0 or self.max_speck_px < 0:
            raise ValueError(
                "engine.max_hole_px and engine.max_speck_px must be 0 or more, "
                f"got {self.max_hole_px} and {self.max_speck_px}"
            )


class MemoryPolicy(str, Enum):
    """Which tracked frames an object remembers, and which of three masks is taken."""

    sam2 = "sam2"  # the last six frames, the mask whose IoU is predicted to be highest
    motion = "motion"  # see engine/motion.py
    distractor = "distractor"  # see engine/distractors.py


class Directions(str, Enum):
    """Which way objects are carried along, from their first prompt on."""

    forward = "forward"
    backward = "backward"
    both = "both"

    @property
    def each(self) -> tuple[Direction, ...]:
        """One pass over the video each."""
        return {
            Directions.forward: (Direction.FORWARD,),
            Directions.backward: (Direction.BACKWARD,),
            Directions.both: (Direction.FORWARD, Direction.BACKWARD),
        }[self]


@dataclass
class TrackingConfig:
    """What an object's masks are carried along by; the defaults are SAM 2's own."""

    direction: Directions = Directions.forward
    memory: MemoryPolicy = MemoryPolicy.sam2
    max_conditioning_frames: int | None = None  # prompted ones that a frame looks at, the closest; None: all
    restart_at_cuts: bool = False  # seek objects of a new scene by their prompts alone
    cut_threshold: float = 27.0  # mean change of hue, saturation and value, 0 to 255, that is a cut

    def __post_init__(self):
        if self.max_conditioning_frames is not None and self.max_conditioning_frames < 2:
            raise ValueError(
                "tracking.max_conditioning_frames must be 2 or more, or null for all, "
                f"got {self.max_conditioning_frames}"
            )
        if not 0 < self.cut_threshold <= 255:
            raise ValueError(
                f"tracking.cut_threshold must be above 0 and at most 255, got {self.cut_threshold}"
            )


def refuse_capture_with_policy(engine: EngineConfig, tracking: TrackingConfig) -> None:
    """Raise ValueError for two settings that do not go together."""
    if engine.capture and tracking.memory is not MemoryPolicy.sam2:
        raise ValueError(
            f"tracking.memory={tracking.memory.value} chooses masks on the host, which no graph does: "
            "engine.capture must be false, got true"
        )


def choose_device(choice: DeviceChoice) -> torch.device:
    """Return the device asked for; `auto` is CUDA where there is one, otherwise the CPU.

    Raises:
        UsageError: It is not there.
    """
    if choice is DeviceChoice.auto:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if choice is DeviceChoice.cuda and not torch.cuda.is_available():
        raise UsageError("engine.device=cuda: torch finds no CUDA device on this machine")
    return torch.device(choice.value)
