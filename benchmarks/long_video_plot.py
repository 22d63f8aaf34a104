"""Memory and time per frame along a long video as a picture."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.long_video_run import Samples


def plot(path: Path, samples: Samples, settled: int) -> None:
    """Write a PNG: memory above, time per frame below."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    memory, times = figure.subplots(2, sharex=True)
    memory.plot(samples.frames, samples.rss_mib, color="tab:blue")
    memory.set(ylabel="resident memory, MiB")
    times.plot(samples.frames, samples.wall_ms, color="lightgrey", label="wall")
    times.plot(samples.frames, samples.cpu_ms, color="tab:orange", label="CPU, all threads")
    times.set(xlabel="frames done", ylabel="ms a frame", xlim=0)
    times.legend()
    for axes in (memory, times):
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
        axes.axvline(settled, color="grey", linestyle=":", linewidth=1)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
