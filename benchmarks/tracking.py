"""What helps tracking, and what does not: `python -m benchmarks.tracking [DIR...]`.

Videos made with known truth, and those of each DIR (`<video_id>/{frames,masks}`), are segmented by the
jobs with one setting after the other (`tracking_settings.py`): nano, in fp32.
"""

import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.report import arguments, save, show
from benchmarks.tracking_metrics import score
from benchmarks.tracking_pictures import save_strip
from benchmarks.tracking_prompts import Found
from benchmarks.tracking_runs import Run, run_setting
from benchmarks.tracking_scenes import SCENES
from benchmarks.tracking_settings import SETTINGS, Setting, possible
from benchmarks.tracking_tables import overview, save_tables
from benchmarks.tracking_truth import TrueVideo, read_videos, write_video


def main() -> None:
    options = _options()
    settings, missing = possible([setting for setting in SETTINGS if setting.name in options.settings])
    stop = time.monotonic() + options.limit_seconds
    with TemporaryDirectory() as folder:
        videos, groups = _videos(options, Path(folder))
        runs: dict[Setting, Run] = {}
        figures: list[dict[str, Any]] = []
        for setting, run in _runs(settings, videos, Path(folder) / "runs", stop):
            runs[setting] = run
            its = measure(setting, run, videos)
            figures += [figure | {"group": groups[figure["video"]]} for figure in its]
            # After each: all of them take long.
            save(options.out, "tracking", {"seed": options.seed, "missing": missing, "scores": figures})
            save_tables(options.out, figures, missing)
        for name in options.scenes:
            found = _first_and_best(runs, figures, name)
            save_strip(options.out / f"tracking-{name}.png", videos[name], found)
    show("What helps tracking", overview(figures))


def measure(setting: Setting, run: Run, videos: Mapping[str, TrueVideo]) -> Iterator[dict[str, Any]]:
    """Yield one figure a video that the setting is for."""
    for video in videos.values():
        if not setting.videos or video.video_id in setting.videos:
            found, prompted = run.found(video.video_id)
            about = {"setting": setting.name, "video": video.video_id, "prompted": len(prompted)}
            yield about | asdict(score(video, found, prompted))


def _options() -> Namespace:
    parser = arguments(__doc__)
    parser.add_argument("truth", type=Path, nargs="*", metavar="DIR")
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--settings", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--scenes", nargs="*", choices=SCENES, default=list(SCENES), metavar="NAME")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limit-seconds", type=float, default=inf, help="no setting begins after that")
    options = parser.parse_args()
    for setting in SETTINGS:
        if setting.name in options.settings and setting.looks_at not in (None, *options.settings):
            parser.error(f"{setting.name!r} mends the masks of {setting.looks_at!r}: give both")
    return options


def _videos(options: Namespace, folder: Path) -> tuple[dict[str, TrueVideo], dict[str, str]]:
    """Make the scenes and read all videos; return them, and each one's column in the table."""
    for name in options.scenes:
        write_video(folder / "made" / name, SCENES[name](options.seed))
    videos = {video.video_id: video for video in read_videos(folder / "made")}
    groups = {name: name for name in options.scenes}
    for truth in options.truth:
        of_folder = {video.video_id: video for video in read_videos(truth)}
        videos |= of_folder
        groups |= dict.fromkeys(of_folder, truth.resolve().name)
    return videos, groups


def _runs(
    settings: list[Setting], videos: Mapping[str, TrueVideo], folder: Path, stop: float
) -> Iterator[tuple[Setting, Run]]:
    done: dict[str, Run] = {}
    for number, setting in enumerate(settings):
        if time.monotonic() > stop:
            break
        looked_at = done[setting.looks_at] if setting.looks_at else None
        run = run_setting(setting, videos, folder / str(number), looked_at)
        if run is not None:
            done[setting.name] = run
            yield setting, run


def _first_and_best(
    runs: Mapping[Setting, Run], figures: list[dict[str, Any]], video_id: str
) -> dict[str, Found]:
    """Return what the first setting found of a video, and the one of the highest J, by their names."""
    its = [figure for figure in figures if figure["video"] == video_id]
    shown = {its[0]["setting"], max(its, key=lambda figure: figure["j"])["setting"]}
    return {setting.name: run.found(video_id)[0] for setting, run in runs.items() if setting.name in shown}


if __name__ == "__main__":
    main()
