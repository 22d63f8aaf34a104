"""Speed, start-up and memory of a system in this process, which does nothing else."""

import platform
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.agreement import PackedMasks, add_masks
from benchmarks.settings import Setting
from benchmarks.ticks import Stopwatch, Tick, TickSystem
from benchmarks.workload import Clip

FIRST_TRACKED_FRAME = 1  # frame 0 carries the prompts
STATUS = Path("/proc/self/status")


class Measured(NamedTuple):
    """The figures of one setting."""

    frames_per_second: float  # of all videos together
    timed_frames: int
    timed_seconds: float
    start_up_seconds: float  # from before the model is built until the first tracked frame has its masks
    peak_bytes: int  # on CUDA of the device's memory, otherwise of the process's
    threads: int
    device_name: str


def measured(watch: Stopwatch) -> Measured:
    """Return what a stopwatch and this process have to say."""
    if not watch.seconds or watch.start_up_seconds is None:
        raise RuntimeError("no frame was timed")
    cuda = watch.device == "cuda"
    return Measured(
        frames_per_second=watch.frames / watch.seconds,
        timed_frames=watch.frames,
        timed_seconds=watch.seconds,
        start_up_seconds=watch.start_up_seconds,
        peak_bytes=torch.cuda.max_memory_allocated() if cuda else peak_rss_bytes(),
        threads=torch.get_num_threads(),
        device_name=torch.cuda.get_device_name() if cuda else platform.machine(),
    )


def measure_ticks(
    build: Callable[[], TickSystem], clips: Sequence[Clip], setting: Setting
) -> tuple[Measured, PackedMasks]:
    """Build a system and run it over all clips; return its figures and masks.

    On CUDA the masks are of a first run, which also compiles and captures what a system compiles and
    captures. The second run is timed: it hands over its masks, and nobody looks at them. On a CPU one run
    does both, and the watch stands still while masks are kept.
    """
    watch, packed = Stopwatch(setting.device), PackedMasks()
    system = build()
    _follow(system.ticks(clips), watch, setting, packed)
    if setting.device == "cuda":
        watch.reset()
        _follow(system.ticks(clips), watch, setting, None)
    return measured(watch), packed


def _follow(ticks: Iterator[Tick], watch: Stopwatch, setting: Setting, packed: PackedMasks | None) -> None:
    """Time each video from the end of its warm-up to its last frame; keep the masks if there is a place."""
    for frame_index, masks in ticks:
        if watch.running:
            watch.frames += len(masks)
        if frame_index == FIRST_TRACKED_FRAME:
            watch.started_up()
        elif frame_index == setting.warmup - 1:
            watch.start()
        elif frame_index == setting.frames - 1:
            watch.stop()
        if packed is not None:
            with watch.paused():
                for video, of_video in masks.items():
                    add_masks(packed, video, frame_index, of_video)


def peak_rss_bytes() -> int:
    """Return the most memory that this process ever had resident."""
    if STATUS.exists():  # getrusage counts in what the parent had when it forked
        peak = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
