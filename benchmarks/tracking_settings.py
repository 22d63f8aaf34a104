"""What is compared: one line a setting. Those whose feature the code does not have are named and left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec

from benchmarks.tracking_detections import by_detector
from benchmarks.tracking_prompts import (
    Prompts,
    at_first_sight,
    boxes_every_25,
    boxes_every_50,
    by_the_other_camera,
    copied_from_the_other_camera,
    corrections_by_clicks,
    corrections_by_masks,
    in_the_middle,
    masks_every_50,
    new_objects_at_returns,
)
from pipeline.engine.config import TrackingConfig
from pipeline.records import Prompt

BASELINE = "first mask"


@dataclass(frozen=True)
class Setting:
    """One way of using the pipeline."""

    name: str
    prompts: Prompts = at_first_sight
    overrides: tuple[str, ...] = ()  # of `jobs.segment`
    looks_at: str | None = None  # the setting whose masks the prompts mend; it comes before
    videos: tuple[str, ...] = ()  # that it is for; all by default
    needs: str | None = None  # what not every version of the code has: see `is_there`

    @property
    def links(self) -> bool:
        """Whether `jobs.link` says afterwards who is who."""
        return self.needs == "jobs.link"


HAVE: Mapping[str, type] = {"tracking": TrackingConfig, "prompt": Prompt}

CAMERA = ("camera-2",)
RETURNS = ("leaving", "occlusion")
BOTH_WAYS = ("tracking.direction=both",)
CLOSEST_4 = ("tracking.max_conditioning_frames=4",)

SETTINGS = (
    Setting(BASELINE),
    Setting("boxes every 50 frames", boxes_every_50),
    Setting("masks every 50 frames", masks_every_50),
    Setting("masks where it went wrong", corrections_by_masks, looks_at=BASELINE),
    Setting("clicks where it went wrong", corrections_by_clicks, looks_at=BASELINE),
    Setting("other camera's mask, copied", copied_from_the_other_camera, videos=CAMERA),
    Setting(
        "other camera's mask, by reference", by_the_other_camera, videos=CAMERA, needs="prompt.video_uri"
    ),
    Setting("new objects at returns", new_objects_at_returns, videos=RETURNS),
    Setting("new objects at returns, linked", new_objects_at_returns, videos=RETURNS, needs="jobs.link"),
    Setting("a detector's boxes, by ByteTrack", by_detector, needs="jobs.prompt_from_detections"),
    Setting(
        "restart at cuts", overrides=("tracking.restart_at_cuts=true",), needs="tracking.restart_at_cuts"
    ),
    Setting("motion memory", overrides=("tracking.memory=motion",), needs="tracking.memory"),
    Setting("distractor memory", overrides=("tracking.memory=distractor",), needs="tracking.memory"),
    Setting("mask in the middle", in_the_middle),
    Setting("mask in the middle, both ways", in_the_middle, BOTH_WAYS, needs="tracking.direction"),
    Setting("boxes every 25 frames", boxes_every_25),
    Setting("boxes every 25 frames, closest 4", boxes_every_25, CLOSEST_4),
)


def is_there(feature: str) -> bool:
    """Return whether this code has a job (`jobs.link`), a setting of tracking or a field of prompts."""
    kind, _, name = feature.partition(".")
    if kind == "jobs":
        return find_spec(feature) is not None
    return name in {field.name for field in fields(HAVE[kind])}


def possible(settings: Sequence[Setting]) -> tuple[list[Setting], list[str]]:
    """Return the settings that this code can run, and the names of the others."""
    can = [setting for setting in settings if setting.needs is None or is_there(setting.needs)]
    return can, [setting.name for setting in settings if setting not in can]
