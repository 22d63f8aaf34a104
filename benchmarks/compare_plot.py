"""The comparison's speeds as a picture: a panel a model and number of videos, a bar a row."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from benchmarks.compare_table import name_of
from benchmarks.figures import Figure
from benchmarks.settings import Precision, System

COLORS = {
    System.ours: "tab:blue",
    System.ours_file: "tab:cyan",
    System.official: "tab:orange",
    System.official_compiled: "tab:red",
    System.transformers: "tab:olive",
}
FP32_OPACITY = 0.45  # bf16 is in full colour
GROUP_WIDTH = 0.75  # of the bars of one object count, of the room that they have
Panel = tuple[str, int, int]  # model, image size, videos


def plot(path: Path, figures: Sequence[Figure]) -> None:
    """Write a PNG of frames/s over objects. A row that failed leaves a gap."""
    panels = [(panel, list(rows)) for panel, rows in groupby(sorted(figures, key=_order), key=_panel)]
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    picture = Picture(figsize=(max(4.5 * columns, 6.5), 3.4 * lines + 0.9), layout="constrained")
    grid = picture.subplots(lines, columns, squeeze=False).flat
    for axes, (panel, rows) in zip(grid, panels, strict=False):
        _bars(axes, panel, rows)
    for axes in list(grid)[len(panels) :]:
        axes.set_visible(False)
    by_name = {
        label: bar
        for axes in picture.axes
        for bar, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    picture.legend(by_name.values(), by_name.keys(), loc="outside upper center", ncols=2, frameon=False)
    picture.savefig(path, dpi=120)


def _panel(figure: Figure) -> Panel:
    setting = figure.setting
    return setting.model, setting.image_size, setting.videos


def _order(figure: Figure) -> tuple[Panel, int]:
    return _panel(figure), figure.setting.objects


def _bars(axes: Axes, panel: Panel, figures: Sequence[Figure]) -> None:
    objects = sorted({figure.setting.objects for figure in figures})
    variants = sorted({_variant(figure) for figure in figures}, key=_place)
    width = GROUP_WIDTH / len(variants)
    for number, (system, precision) in enumerate(variants):
        speeds = {f.setting.objects: _speed(f) for f in figures if _variant(f) == (system, precision)}
        axes.bar(
            [place + (number + 0.5) * width - GROUP_WIDTH / 2 for place in range(len(objects))],
            [speeds.get(count, 0.0) for count in objects],
            width,
            color=COLORS[system],
            alpha=FP32_OPACITY if precision is Precision.fp32 else 1,
            label=name_of(system, precision),
        )
    model, image_size, videos = panel
    axes.set_title(f"{model}, {image_size} px, {videos} video{'s' if videos > 1 else ''}", fontsize=10)
    axes.set_xticks(range(len(objects)), [str(count) for count in objects])
    axes.set(xlabel="objects in each video", ylabel="frames/s")
    axes.spines[["top", "right"]].set_visible(False)


def _variant(figure: Figure) -> tuple[System, Precision]:
    return figure.setting.system, figure.setting.precision


def _place(variant: tuple[System, Precision]) -> tuple[int, int]:
    """Return where a variant stands: in the order that systems and precisions are declared in."""
    system, precision = variant
    return list(System).index(system), list(Precision).index(precision)


def _speed(figure: Figure) -> float:
    return figure.measured.frames_per_second if figure.measured else 0.0
