"""What every benchmark leaves behind: a table on the terminal, and JSON that says where it comes from."""

import json
import os
import platform
import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("sam2-batch", "rf-sam-2", "transformers", "torch", "numpy", "av", "pyarrow")
PLAIN_WIDTH = 180  # columns of text that goes to a file

Row = dict[str, str]  # cell by column


def arguments(description: str | None) -> ArgumentParser:
    """Return a command line that has `--out` already."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def save(out: Path, name: str, figures: Any) -> None:
    """Write `<out>/<name>.json`: the figures, and all that one must know to get them again."""
    about = {
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(about | {"figures": figures}, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """Return what of this machine decides figures."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "load_average": [round(load, 1) for load in os.getloadavg()],  # of others, on a shared machine
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """Print rows of the same columns."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:  # a machine with a GPU may have little more than torch
        print(title, *_aligned(rows), sep="\n")
        return
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*row.values())
    Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(table)


def save_markdown(out: Path, name: str, text: str, rows: Sequence[Row]) -> None:
    """Write `<out>/<name>.md`: a text, then rows of the same columns as a table."""
    (out / f"{name}.md").write_text(f"{text}\n\n{markdown(rows)}\n")


def markdown(rows: Sequence[Row]) -> str:
    """Return rows of the same columns as a table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Return a line of column names and one a row, in columns."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
