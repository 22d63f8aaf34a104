"""What is compared: one line a setting. Those whose feature the code does not have are named and left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec

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
    links: bool = False  # `jobs.link` says afterwards who is who
    needs: str | None = None  # a setting of tracking, a field of prompts, or a job

    @property
    def is_possible(self) -> bool:
        if self.needs is None:
            return True
        kind, _, name = self.needs.partition(".")
        if kind == "jobs":
            return find_spec(self.needs) is not None
        return name in {field.name for field in fields(HAVE[kind])}


HAVE: Mapping[str, type] = {"tracking": TrackingConfig, "prompt": Prompt}

SETTINGS = (
    Setting(BASELINE),
    Setting("clicks where it went wrong", corrections_by_clicks, looks_at=BASELINE),
    Setting("masks where it went wrong", corrections_by_masks, looks_at=BASELINE),
    Setting("boxes every 50 frames", boxes_every_50),
    Setting("boxes every 25 frames", boxes_every_25),
    Setting("boxes every 25 frames, closest 4", boxes_every_25, ("tracking.max_conditioning_frames=4",)),
    Setting("mask in the middle", in_the_middle),
    Setting(
        "mask in the middle, both ways",
        in_the_middle,
        ("tracking.direction=both",),
        needs="tracking.direction",
    ),
    Setting(
        "restart at cuts", overrides=("tracking.restart_at_cuts=true",), needs="tracking.restart_at_cuts"
    ),
    Setting("motion memory", overrides=("tracking.memory=motion",), needs="tracking.memory"),
    Setting("distractor memory", overrides=("tracking.memory=distractor",), needs="tracking.memory"),
    Setting("mask of the other camera, copied", copied_from_the_other_camera, videos=("camera-2",)),
    Setting(
        "mask of the other camera, as reference",
        by_the_other_camera,
        videos=("camera-2",),
        needs="prompt.video_uri",
    ),
    Setting("boxes, new objects at returns", new_objects_at_returns, videos=("leaving", "occlusion")),
    Setting(
        "boxes, new objects at returns, linked",
        new_objects_at_returns,
        videos=("leaving", "occlusion"),
        links=True,
        needs="jobs.link",
    ),
)


def possible(settings: Sequence[Setting]) -> tuple[list[Setting], list[str]]:
    """Return the settings that this code can run, and the names of the others."""
    can = [setting for setting in settings if setting.is_possible]
    return can, [setting.name for setting in settings if setting not in can]
