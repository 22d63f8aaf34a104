"""Memory curves as a picture."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.memory_runs import MemoryCurve

COLORS = ("tab:blue", "tab:orange")


def plot(path: Path, curves: Mapping[str, MemoryCurve], settled: int) -> None:
    """Write a PNG of all curves, each with its name at its end."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for (name, curve), color in zip(curves.items(), COLORS, strict=True):
        axes.plot(curve.frames, curve.rss_mib, color=color, linewidth=2)
        end = curve.frames[-1], curve.rss_mib[-1]
        label = f"{name}: {end[1]:.0f} MiB"
        axes.annotate(label, end, (0, 8), textcoords="offset points", ha="right", va="bottom", color=color)
    axes.axvline(settled, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="frames done", ylabel="resident memory of the process, MiB", xlim=0, ylim=0)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
