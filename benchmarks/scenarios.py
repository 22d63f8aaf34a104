"""What every system of the comparison is given: a model, objects, videos; and what it is by default."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

OBJECTS, VIDEOS = (1, 5, 16), (1, 8)
FRAMES = {"cpu": 40, "cuda": 48}
MODELS = {
    "cpu": ("nano",),
    "cuda": ("sam2.1_tiny", "sam2.1_small", "sam2.1_base_plus", "sam2.1_large"),
}


@dataclass(frozen=True)
class Scenario:
    """What rows have in common that can be compared with each other."""

    model: str  # a file of conf/model/, without its suffix
    image_size: int | None  # side of the square that the model sees, px; None is the model's own
    objects: int  # in each video
    videos: int
    frames: int  # of each video


CPU_SCENARIOS = (  # what two cores can bear
    *(Scenario("nano", None, objects, 1, FRAMES["cpu"]) for objects in (1, 5, 8, 16)),
    Scenario("nano", None, 1, 8, FRAMES["cpu"]),
    *(Scenario("sam2.1_tiny", 512, objects, 1, 28) for objects in (1, 5)),
)


def scenarios(
    device: str,
    models: Sequence[str] | None = None,
    image_size: int | None = None,
    objects: Sequence[int] | None = None,
    videos: Sequence[int] | None = None,
    frames: int | None = None,
) -> list[Scenario]:
    """Return all combinations of what is asked for.

    A CPU that is asked for no model, size or count at all gets scenarios that it can bear.
    """
    if device == "cpu" and not (models or image_size or objects or videos):
        found = list(CPU_SCENARIOS)
    else:
        wanted = product(models or MODELS[device], [image_size], objects or OBJECTS, videos or VIDEOS)
        found = [Scenario(*combination, frames=FRAMES[device]) for combination in wanted]
    return [replace(scenario, frames=frames or scenario.frames) for scenario in found]
